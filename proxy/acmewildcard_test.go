package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"testing"
	"time"

	"mkd/internal/testserver/nameserver"
	"mkd/internal/testserver/pebble"
	"mkd/internal/testserver/testca"
)

// TestThreeNames has three names on one listener: a wildcard certificate that an
// authority issues by dns-01, after a signed update of a DNS server; one from files, for
// which one route demands a certificate of the client; and an internal one. All three
// work over HTTP/1.1, HTTP/2 and HTTP/3.
func TestThreeNames(t *testing.T) {
	rec := newRecorder(t, nil)
	ns := nameserver.Start(t, "three.example.org.")
	nobody := number(t, freePort(t))
	ca := pebble.StartWithDNS(t, nobody, nobody, time.Hour, ns.Address)
	servers, staff := testca.New(t, "servers", time.Hour), testca.New(t, "staff", time.Hour)
	cert, own := servers.Server(7, "shop.example"), staff.Client(8, pkix.Name{CommonName: "me"})
	p, _ := start(t, load(t, `
listeners:
  web:
    https:
      address: "127.0.0.1:0"
      http3: true
      hosts: ["*.three.example.org"]
      tls:
        acme:
          agree_terms: true
          ca: `+ca.Directory+`
          ca_root: `+ca.RootFile+`
          dns: {rfc2136: {server: "`+ns.Address+`", key_file: `+ns.KeyFile+`}, resolvers: ["`+ns.Address+`"]}
        certificates:
          - {cert: `+cert.Cert+`, key: `+cert.Key+`, client_auth: {ca: `+staff.File+`, mode: verify_if_given}}
          - {internal: true, hosts: [dev.example]}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {hosts: [shop.example], paths: [/admin/*]}, client_certificate: required, backend: api}
  - backend: api
`))
	address := p.Addr("web").String()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	client := func(proto int, c *tls.Config, cert *testca.Pair) *http.Client {
		if cert != nil {
			c.Certificates = []tls.Certificate{cert.Certificate}
		}
		tr := &http.Transport{DialContext: dial, TLSClientConfig: c, ForceAttemptHTTP2: proto == 2}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: 20 * time.Second}
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := client(1, &tls.Config{RootCAs: ca.Roots}, nil).Get("https://a.three.example.org/")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	rec.take()
	for _, c := range []struct {
		url    string
		cert   *testca.Pair
		status int
	}{
		{"https://a.three.example.org/admin/", nil, 200},
		{"https://b.three.example.org/", nil, 200},
		{"https://shop.example/", nil, 200},
		{"https://shop.example/admin/", nil, 403},
		{"https://shop.example/admin", nil, 403},
		{"https://shop.example/admin/", &own, 200},
		{"https://dev.example/", nil, 200},
	} {
		for proto := 1; proto <= 3; proto++ {
			h := client(proto, &tls.Config{InsecureSkipVerify: true}, c.cert)
			if proto == 3 {
				h = http3Client(t, address, "", c.cert)
			}
			if resp, _ := fetch(t, h, "GET", c.url, nil); resp.StatusCode != c.status || resp.ProtoMajor != proto {
				t.Errorf("%s, HTTP/%d: %s, %d", c.url, proto, resp.Proto, resp.StatusCode)
			}
		}
	}
	sources := make(map[string]int)
	for _, st := range p.Status().Certificates {
		if st.Error == "" && !st.NotAfter.IsZero() {
			sources[st.Source]++
		}
	}
	if len(sources) != 3 {
		t.Errorf("the status has %v", sources)
	}
}
