package proxy

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestUpstreamKinds reaches a server over TLS and over a socket, with the host that
// it is configured to see.
func TestUpstreamKinds(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "host "+r.Host) })
	secure := httptest.NewTLSServer(handler)
	defer secure.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	local.Start()
	defer local.Close()
	authority := strings.TrimPrefix(secure.URL, "https://")
	for _, c := range []struct{ backend, want string }{
		{"upstreams: [{url: " + secure.URL + "}], tls: {ca: " + ca + "}", "200 host asked.example"},
		{"upstreams: [{url: " + secure.URL + "}], tls: {ca: " + ca + "}, host: upstream", "200 host " + authority},
		{"upstreams: [{url: " + secure.URL + "}], tls: {ca: " + ca + ", server_name: example.com}", "200 host asked.example"},
		{"upstreams: [{url: " + secure.URL + "}], tls: {ca: " + ca + ", server_name: wrong.example}", "503"},
		{"upstreams: [{url: " + secure.URL + "}]", "503"},
		{"upstreams: [{url: " + secure.URL + "}], tls: {insecure: true}", "200 host asked.example"},
		{`upstreams: [{url: "unix:` + socket + `"}]`, "200 host asked.example"},
		{`upstreams: [{url: "unix:` + socket + `"}], host: upstream`, "200 host localhost"},
	} {
		p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {`+c.backend+`}}
routes:
  - backend: api
`))
		for _, way := range ways {
			response := way.send(t, p, "GET / HTTP/1.1\r\nHost: asked.example\r\n\r\n")
			resp, body := parseResponse(t, response, "GET")
			if got := fmt.Sprintf("%d %s", resp.StatusCode, body); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s %s: %s, want %s", way.name, c.backend, got, c.want)
			}
		}
	}
}

// TestConnectionsAreBounded: beyond max_connections requests wait, and not for
// ever.
func TestConnectionsAreBounded(t *testing.T) {
	var now, most atomic.Int64
	free := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if r.URL.Path == "/wait" {
			<-free
		}
	}))
	defer u.Close()
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}], max_connections: 1, queue_timeout: 200ms}}
routes:
  - backend: api
`))
	done := make(chan struct{})
	go func() {
		defer close(done)
		megakiSender(t, p)("GET", "/wait", "")
	}()
	await(t, "the request has reached the server", func() bool { return now.Load() > 0 })
	if status, got := megakiSender(t, p)("GET", "/", ""); status != 503 {
		t.Errorf("all are in use: %d %s", status, got)
	}
	close(free)
	<-done
	if status, got := megakiSender(t, p)("GET", "/", ""); status != 200 || most.Load() != 1 {
		t.Errorf("after that: %d %s; %d at once", status, got, most.Load())
	}
}

// TestHealth: a server whose health check fails gets no requests until it succeeds.
func TestHealth(t *testing.T) {
	var well atomic.Bool
	sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && !well.Load() {
			w.WriteHeader(500)
		}
		io.WriteString(w, "sick")
	}))
	defer sick.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "other") }))
	defer other.Close()
	p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  api: {http: {upstreams: [{url: `+sick.URL+`}, {url: `+other.URL+`}], health: {path: /healthz, interval: 100ms, rise: 2, fall: 2}}}
routes:
  - backend: api
`))
	send := megakiSender(t, p)
	awaitLog(t, log, "GET /healthz has the status 500")
	for range 10 {
		if status, got := send("GET", "/", ""); status != 200 || got != "other" {
			t.Errorf("%d %s", status, got)
		}
	}
	well.Store(true)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, got := send("GET", "/", ""); got == "sick" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it isn't taken back")
		}
	}
}

// TestExpectContinue: the client is asked for its body, except where the response
// doesn't depend on it.
func TestExpectContinue(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, "  - {match: {paths: [/small]}, max_body: 1B, backend: api}\n")
	for path, want := range map[string]string{"/": "100 Continue", "/small": "413 Request Entity Too Large"} {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.Status != want {
			t.Fatalf("%s: %+v, %v; want %s", path, resp, err, want)
		}
		if resp.StatusCode != 100 {
			continue
		}
		io.WriteString(conn, "body")
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %+v, %v", path, resp, err)
		}
		if saw := rec.take(); len(saw) != 1 || saw[0].body != "body" {
			t.Errorf("the upstream saw %q", saw)
		}
	}
	// In a message the body is there already.
	response := ways[0].send(t, p, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody")
	if !bytes.HasPrefix(response, []byte("HTTP/1.1 200 ")) {
		t.Errorf("by Megaki: %q", response)
	}
}
