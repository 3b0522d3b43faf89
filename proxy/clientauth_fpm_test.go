//go:build linux

package proxy

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/testca"
)

// TestClientAuthPHP: PHP-FPM learns the subject of a certificate from SSL_CLIENT_*, and a
// PHP worker from the fields.
func TestClientAuthPHP(t *testing.T) {
	f := startFPM(t, 1, map[string]string{"index.php": `<?php foreach ($_SERVER as $k => $v) if (str_contains($k, 'SSL_CLIENT')) echo "$k=$v\n";`})
	f.Write(t, "worker.php", `<?php $ARCANGELO_USERSPACE = ['on_http' => function (arca\Request $r) {
	$text = '';
	foreach ($_SERVER as $k => $v) { if (str_contains($k, 'SSL_CLIENT')) { $text .= "$k=$v\n"; } }
	return $text;
}];`)
	ca := testca.New(t, "clients", time.Hour)
	cert := ca.Client(0x0a01, pkix.Name{CommonName: "me"})
	p, _ := start(t, load(t, `
listeners:
  web: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true, client_auth: {ca: `+ca.File+`, mode: verify_if_given}}}}
backends:
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`}}
  worker: {php: {script: `+f.dir+`/worker.php, workers: {min: 1, max: 1}}}
routes:
  - {match: {paths: [/worker]}, backend: worker}
  - backend: fpm
`))
	get := func(path string, certs ...tls.Certificate) string {
		tr := &http.Transport{TLSClientConfig: &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, Certificates: certs}}
		defer tr.CloseIdleConnections()
		r, _ := http.NewRequest("GET", "https://"+p.Addr("web").String()+path, nil)
		r.Header.Set("X-SSL-Client-S-DN", "CN=forged")
		r.Header.Set("SSL_CLIENT_S_DN", "CN=forged")
		resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for path, names := range map[string][]string{"/": {"SSL_CLIENT_", "M_SERIAL"}, "/worker": {"HTTP_X_SSL_CLIENT_", "SERIAL"}} {
		if got := get(path); got != names[0]+"VERIFY=NONE\n" {
			t.Errorf("%s without a certificate: %q", path, got)
		}
		got := get(path, cert.Certificate)
		for _, want := range []string{"VERIFY=SUCCESS\n", "S_DN=CN=me\n", "I_DN=CN=clients\n", names[1] + "=0A01\n", "FINGERPRINT="} {
			if !strings.Contains(got, names[0]+want) {
				t.Errorf("%s: %q, want %s%s", path, got, names[0], want)
			}
		}
	}
}
