//go:build linux

package proxy

import (
	"strings"
	"testing"
)

// TestHTTP3PHP runs a script in PHP-FPM, and one in a worker, for requests over HTTP/3.
func TestHTTP3PHP(t *testing.T) {
	const script = `"$_SERVER[REQUEST_METHOD] $_SERVER[REQUEST_URI] $_SERVER[HTTPS] $_SERVER[SERVER_PROTOCOL] $_SERVER[HTTP_HOST] "`
	f := startFPM(t, 1, map[string]string{"index.php": `<?php echo ` + script + ` . md5(file_get_contents('php://input'));`})
	f.Write(t, "worker.php", `<?php $ARCANGELO_USERSPACE = ['on_http' => fn (arca\Request $r) => `+script+` . md5($r->body())];`)
	p, _ := start(t, load(t, `
listeners:
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, try: ["{path}", /index.php]}}
  worker: {php: {script: `+f.dir+`/worker.php, workers: {min: 1, max: 1}}}
routes:
  - {match: {paths: [/worker]}, backend: worker}
  - backend: fpm
`))
	c := http3Client(t, p.Addr("tls").String(), "", nil)
	for path, want := range map[string]string{"/x": "/x?q=1 on HTTP/3.0 localhost ", "/worker": "/worker?q=1 on HTTP/3.0 localhost "} {
		if _, got := fetch(t, c, "GET", "https://localhost"+path+"?q=1", nil); got != "GET "+want+"d41d8cd98f00b204e9800998ecf8427e" {
			t.Errorf("GET %s: %q", path, got)
		}
		if _, got := fetch(t, c, "POST", "https://localhost"+path+"?q=1", strings.NewReader(strings.Repeat("a", 200_000))); got != "POST "+want+"561b1994f6baacd6e5eaf4baaa12849f" {
			t.Errorf("POST %s: %q", path, got)
		}
	}
}
