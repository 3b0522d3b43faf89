package proxy

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSendFileOfHTTP: an HTTP server leaves a file to mkd, by the rules of FastCGI.
func TestSendFileOfHTTP(t *testing.T) {
	private := filesOf(t, map[string]string{"a.txt": "private text", ".env": "secret"})
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, values := range r.URL.Query() {
			h[http.CanonicalHeaderKey(name)] = values
		}
		h.Set("Content-Disposition", "attachment")
		h.Set("Allow", "upstream")
		io.WriteString(w, "of the server")
	})
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}], send_file: {root: `+private+`, prefix: /protected}}}
  plain: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/plain]}, backend: plain}
  - backend: api
`)
	for _, c := range []struct {
		target string
		status int
		want   string
	}{
		{"/", 200, "of the server"},
		{"/?x-accel-redirect=/protected/a.txt", 200, "private text"},
		{"/?x-sendfile=" + private + "/a.txt", 200, "private text"},
		{"/?x-accel-redirect=/protected/.env", 404, "404 Not Found\n"},
		{"/?x-accel-redirect=/protected/../../etc/passwd", 404, "404 Not Found\n"},
		{"/?x-accel-redirect=/etc/passwd", 502, "502 Bad Gateway\n"},
		{"/?x-sendfile=/etc/passwd", 502, "502 Bad Gateway\n"},
		{"/plain?x-accel-redirect=/protected/a.txt", 200, "of the server"},
	} {
		for _, way := range everyWay {
			g := way.send(t, p, &asked{method: "GET", target: c.target, fields: []string{"Host: x"}})
			if g.status != c.status || g.body != c.want {
				t.Errorf("%s %s: %d %q", way.name, c.target, g.status, g.body)
			}
			if c.status != 200 && len(g.header["Allow"])+len(g.header["Content-Disposition"]) > 0 {
				t.Errorf("%s %s: fields of the server in mkd's own response: %v", way.name, c.target, g.header)
			}
			if g.body == "private text" && (g.header.Get("Content-Disposition") != "attachment" || g.header.Get("X-Accel-Redirect")+g.header.Get("X-Sendfile") != "") {
				t.Errorf("%s %s: %v", way.name, c.target, g.header)
			}
		}
	}
	g := everyWay[1].send(t, p, &asked{method: "GET", target: "/?x-accel-redirect=/protected/a.txt", fields: []string{"Host: x", "Range: bytes=8-"}})
	if g.status != 206 || g.body != "text" {
		t.Errorf("a range: %d %q", g.status, g.body)
	}
}

// TestOwnCertificate shows a server mkd's certificate, and reads it anew by a reload.
func TestOwnCertificate(t *testing.T) {
	site := &reloadSite{t: t, dir: t.TempDir()}
	site.certificate(1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "client "+r.TLS.PeerCertificates[0].SerialNumber.String())
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	text := func(own string) string {
		return `
storage: ` + site.dir + `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: ` + server.URL + `}], tls: {ca: ` + ca + own + `}}}
routes:
  - backend: api
`
	}
	own := `, cert: ` + site.dir + `/tls.crt, key: ` + site.dir + `/tls.key`
	p, _ := start(t, load(t, text(own)))
	if status, got := getPage(t, "http://"+p.Addr("web").String()); status != 200 || got != "client 2" {
		t.Errorf("%d %q", status, got)
	}
	site.certificate(4)
	if err := p.Reload(t.Context(), load(t, text(own))); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, got := getPage(t, "http://"+p.Addr("web").String()); got == "client 5" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("after a reload: %q", got)
		}
	}
	without, _ := start(t, load(t, text("")))
	if status, got := getPage(t, "http://"+without.Addr("web").String()); status < 500 {
		t.Errorf("without a certificate: %d %q", status, got)
	}
}

// TestHealthHeaders: a health check has the Host and the fields that it is given.
func TestHealthHeaders(t *testing.T) {
	rec := newRecorder(t, nil)
	start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}], health: {path: /healthz, headers: {Host: app.example.org, X-Forwarded-Proto: https, user-agent: check}}}}
routes:
  - backend: api
`))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if all := rec.take(); len(all) > 0 {
			if s := all[0]; s.host != "app.example.org" || !strings.Contains(s.headers, "X-Forwarded-Proto: https\n") || !strings.Contains(s.headers, "User-Agent: check\n") {
				t.Errorf("%+v", s)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("there was no check")
		}
	}
}

// TestHeaderThatServerRefuses: a request whose header is longer than the server takes has
// status 431, be it the server's own response or mkd's, which knows its limit.
func TestHeaderThatServerRefuses(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetHTTP1(scheme == "http")
		s.Config.Protocols.SetUnencryptedHTTP2(scheme != "http")
		s.Config.MaxHeaderBytes = 4 << 10
		s.Start()
		t.Cleanup(s.Close)
		p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: "`+scheme+"://"+s.Listener.Addr().String()+`"}]}}
routes:
  - backend: api
`)
		for _, way := range everyWay {
			for _, c := range []struct{ length, status int }{{1, 200}, {16 << 10, 431}, {1, 200}} {
				g := way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "X-Long: " + strings.Repeat("x", c.length)}})
				if g.status != c.status {
					t.Errorf("%s, %s: %d bytes have status %d: %q", scheme, way.name, c.length, g.status, g.body)
				}
			}
		}
	}
}
