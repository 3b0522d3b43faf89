package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// trusting returns a client that trusts the certificate in a PEM file, and
// takes every name for 127.0.0.1.
func trusting(t *testing.T, file string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificate in %s", pem)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestHTTPS: HTTP/2 and HTTP/1.1 over TLS, and the redirect to it.
func TestHTTPS(t *testing.T) {
	rec := newRecorder(t, nil)
	port := freePort(t)
	cfg := load(t, `
listeners:
  web: {https: {address: "127.0.0.1:`+port+`", hosts: [localhost], tls: {internal: true}}}
  plain: {http: {address: "127.0.0.1:0", redirect_https: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`)
	p, _ := start(t, cfg)
	c := trusting(t, filepath.Join(cfg.Storage.Path, "internal", "web.crt"))
	resp, err := c.Post("https://localhost:"+port+"/x?y", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "ok" || resp.ProtoMajor != 2 {
		t.Errorf("%q, %v, %s", body, err, resp.Proto)
	}
	saw := rec.take()
	if len(saw) != 1 || saw[0].line != "POST /x?y" || saw[0].body != "body" || saw[0].host != "localhost:"+port ||
		!strings.Contains(saw[0].headers, "X-Forwarded-Proto: https\n") {
		t.Errorf("the upstream saw %q", saw)
	}
	old := trusting(t, filepath.Join(cfg.Storage.Path, "internal", "web.crt"))
	old.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	if resp, err := old.Get("https://localhost:" + port); err != nil || resp.ProtoMajor != 1 || resp.StatusCode != 200 {
		t.Errorf("HTTP/1.1: %+v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	resp, err = c.Post("http://"+p.Addr("plain").String()+"/a//b?c", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := "https://127.0.0.1:" + port + "/a/b?c"; resp.StatusCode != 308 || resp.Header.Get("Location") != want {
		t.Errorf("redirect: %d %s, want %s", resp.StatusCode, resp.Header.Get("Location"), want)
	}
}

// TestOnlyAEADSuites: with TLS 1.2, mkd neither offers nor accepts suites in CBC mode
// or with a key exchange by RSA.
func TestOnlyAEADSuites(t *testing.T) {
	var suites []uint16 // that an upstream has
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	u.Config.ErrorLog = log.New(io.Discard, "", 0)
	u.Config.SetKeepAlivesEnabled(false) // each request has a handshake
	u.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: suites, Certificates: u.TLS.Certificates}, nil
	}}
	u.StartTLS()
	defer u.Close()
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}], tls: {insecure: true}}}
routes:
  - backend: api
`)
	for suite, good := range map[uint16]bool{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: true,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:    false,
	} {
		conn, err := tls.Dial("tcp", p.Addr("tls").String(), &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if (err == nil) != good {
			t.Errorf("the listener, %s: %v", tls.CipherSuiteName(suite), err)
		}
		if err == nil {
			conn.Close()
		}
	}
	for suite, want := range map[uint16]string{
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "HTTP/1.1 200 ",
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:    "HTTP/1.1 503 ",
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256:       "HTTP/1.1 503 ",
	} {
		suites = []uint16{suite}
		request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		if response := sendWeb(t, p, request); !strings.HasPrefix(string(response), want) {
			t.Errorf("an upstream with %s: %q", tls.CipherSuiteName(suite), response)
		}
	}
}

// freePort returns a port that is free just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestProxyProtocol: each kind of listener learns the client's address from a
// load balancer.
func TestProxyProtocol(t *testing.T) {
	rec := newRecorder(t, nil)
	cfg := load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], proxy_protocol: {from: [127.0.0.0/8]}}}
  web: {http: {address: "127.0.0.1:0", proxy_protocol: {from: [127.0.0.0/8]}}}
  tls: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, proxy_protocol: {from: [127.0.0.0/8]}}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`)
	p, _ := start(t, cfg)
	const header = "PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n"
	dial := func(name string) net.Conn {
		conn, err := net.Dial("tcp", p.Addr(name).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, header)
		return conn
	}
	request := func(conn net.Conn) {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("%+v, %v", resp, err)
		}
	}
	request(dial("web"))
	request(tls.Client(dial("tls"), &tls.Config{InsecureSkipVerify: true}))
	c := client(t, p, "app")
	conn, err := newMegakiConn(t, c, dial("app"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // one that waits in between
		if got, err := conn.RoundTrip(t.Context(), []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
			t.Errorf("%q, %v", got, err)
		}
	}
	saw := rec.take()
	if len(saw) != 4 {
		t.Errorf("the upstream saw %d requests of 4", len(saw))
	}
	for _, s := range saw {
		if !strings.Contains(s.headers, "X-Forwarded-For: 192.0.2.7\n") {
			t.Errorf("the upstream saw %q", s.headers)
		}
	}
}

// TestSlowUpload: a body that comes slowly but steadily isn't cut off, one that
// stands still is.
func TestSlowUpload(t *testing.T) {
	t.Parallel() // it waits nearly all of its time
	rec := newRecorder(t, nil)
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0", body_timeout: 1s, min_rate: 1B}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - backend: api
`))
	send := func(pieces int) string {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
		for range pieces {
			time.Sleep(250 * time.Millisecond)
			io.WriteString(conn, "x")
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err.Error()
		}
		return resp.Status
	}
	if got := send(8); got != "200 OK" {
		t.Errorf("a slow body: %s", got)
	}
	if got := send(2); got != "408 Request Timeout" {
		t.Errorf("a body that stands still: %s", got)
	}
}
