package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mkd/proxy/request"
	"mkd/proxy/route"
)

// listenersTo starts a Megaki and an HTTP listener in front of an upstream, with more keys of
// the HTTP listener, of the backend and of the route.
func listenersTo(t *testing.T, upstream, listener, backend, route string) (*Daemon, string) {
	t.Helper()
	return start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], max_message: 4KiB}}
  web: {http: {address: "127.0.0.1:0"`+listener+`}}
backends:
  api: {http: {upstreams: [{url: '`+upstream+`'}]`+backend+`}}
routes:
  - {backend: api`+route+`}
`))
}

// TestFieldThatDoesNotFit: a header longer than a message is no response, and never
// one with an empty field.
func TestFieldThatDoesNotFit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", strings.Repeat("x", 6000))
		io.WriteString(w, "body")
	}))
	defer s.Close()
	p, _ := listenersTo(t, s.URL, "", "", "")
	if a := ways[0].send(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !bytes.HasPrefix(a, []byte("HTTP/1.1 502 ")) {
		t.Errorf("%q", a)
	}
}

// TestErrorThatDoesNotFit: fields that a route adds can't break the error that
// reports that a response was too long.
func TestErrorThatDoesNotFit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 6000)) }))
	defer s.Close()
	p, _ := listenersTo(t, s.URL, "", "", ", headers: {response: {set: {X-Long: '"+strings.Repeat("x", 4000)+"'}}}")
	a := ways[0].send(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, body := parseResponse(t, a, "GET"); resp.StatusCode != 502 || !strings.Contains(body, "4KiB") {
		t.Errorf("%q", a)
	}
}

// TestRouteTimeoutIsBetweenReads: what goes on isn't cut off by a route's
// timeout, be it a response or a tunnel.
func TestRouteTimeoutIsBetweenReads(t *testing.T) {
	t.Parallel() // it waits nearly all of its time
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, rw, _ := http.NewResponseController(w).Hijack()
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			io.Copy(conn, rw)
			return
		}
		for range 8 {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Millisecond)
		}
	}))
	defer s.Close()
	p, _ := listenersTo(t, s.URL, "", "", ", timeout: 1s")
	for _, way := range ways {
		want := "HTTP/1.1 200 "
		if way.name == "app" { // a message is sent in one piece, so the timeout is for all of it
			want = "HTTP/1.1 504 "
		}
		if a := way.send(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !bytes.HasPrefix(a, []byte(want)) {
			t.Errorf("%s: %q", way.name, a)
		}
	}
	conn, br := upgraded(t, p)
	defer conn.Close()
	for i := range 8 {
		io.WriteString(conn, "x")
		if _, err := br.ReadByte(); err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// upgraded is a connection to the HTTP listener that has changed to the protocol
// echo.
func upgraded(t *testing.T, p *Daemon) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("%+v, %v", resp, err)
	}
	return conn, br
}

// TestTunnelEndsWithItsClient: one that is reset doesn't keep the connection to
// the origin.
func TestTunnelEndsWithItsClient(t *testing.T) {
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		for { // it is silent, and sees the end only when its own connection breaks
			time.Sleep(20 * time.Millisecond)
			if _, err := conn.Write([]byte("x")); err != nil {
				close(ended)
				return
			}
		}
	}))
	defer s.Close()
	p, _ := listenersTo(t, s.URL, "", "", "")
	conn, _ := upgraded(t, p)
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the tunnel is still open")
	}
}

// TestEarlyResponse: a response doesn't wait for a client that stands still in its
// body.
func TestEarlyResponse(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(401)
	}))
	defer s.Close()
	p, _ := listenersTo(t, s.URL, ", body_timeout: 1h", "", "")
	for _, framing := range []string{"Content-Length: 10000000", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+framing+"\r\n\r\n3\r\nabc\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 401 {
			t.Errorf("%s: %+v, %v", framing, resp, err)
		}
	}
}

// TestPauseInUpload: a client that pauses in its body isn't the fault of the
// upstream.
func TestPauseInUpload(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := listenersTo(t, rec.URL, ", body_timeout: 1m", ", response_timeout: 300ms", "")
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	half := strings.Repeat("x", 50_000)
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n%s", half)
	time.Sleep(time.Second)
	io.WriteString(conn, half)
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%+v, %v", resp, err)
	}
}

// TestSlowSmallBodies: clients that send little, and that slowly, take no
// connection of an upstream from others.
func TestSlowSmallBodies(t *testing.T) {
	rec := newRecorder(t, nil)
	p, log := listenersTo(t, rec.URL, ", body_timeout: 300ms", ", max_connections: 1", "")
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	awaitLog(t, log, `"status":408`)
	if saw := rec.take(); len(saw) > 0 {
		t.Errorf("the upstream saw %q", saw)
	}
	if text := awaitLog(t, log, `"status":408`); strings.Contains(text, `"upstream":`) {
		t.Error("an upstream was asked before the body was there")
	}
}

// TestNoCleartextHTTP2: requests in a connection that changed to h2c would get
// past the routes.
func TestNoCleartextHTTP2(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := listenersTo(t, rec.URL, "", "", "")
	for _, protocol := range []string{"h2c", "H2C", "websocket, h2c"} {
		sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: "+protocol+"\r\n\r\n")
		saw := rec.take()
		if len(saw) != 1 || strings.Contains(strings.ToLower(saw[0].headers), "h2c") || strings.Contains(saw[0].headers, "Http2") {
			t.Errorf("%s: the upstream saw %q", protocol, saw)
		}
	}
}

// TestKeepAliveHint: mkd follows a server that announces for how long it keeps
// connections.
func TestKeepAliveHint(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RemoteAddr] = true
		mu.Unlock()
		w.Header().Set("Keep-Alive", "timeout=1")
		io.WriteString(w, "body")
	}))
	defer s.Close()
	p, _ := listenersTo(t, s.URL, "", "", "")
	for range 3 {
		sendWeb(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if len(seen) != 3 {
		t.Errorf("%d connections for 3 requests, though none is kept for long enough", len(seen))
	}
}

// TestInformationalResponses: 1xx responses have no fields of the origin's
// connection, and none that the route overrides, and don't reach clients of HTTP/1.0.
func TestInformationalResponses(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</x>")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "secret")
		w.Header().Set("X-Internal", "secret")
		w.WriteHeader(103)
	}))
	defer s.Close()
	p := bothListeners(t, s.URL, "  - {headers: {response: {remove: [X-Internal]}}, backend: api}\n")
	for version, want := range map[string]bool{"1.0": false, "1.1": true} {
		conn, err := net.Dial("tcp", p.Addr("web").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET / HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n", version)
		response, _ := io.ReadAll(conn)
		if bytes.Contains(response, []byte(" 103 ")) != want || bytes.Contains(response, []byte("secret")) {
			t.Errorf("HTTP/%s: %q", version, response)
		}
	}
}

// TestHeadOfFixedResponses: HEAD has the header of GET, on both listeners.
func TestHeadOfFixedResponses(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, "  - {match: {paths: [/text]}, respond: {body: text}}\n  - {match: {paths: [/away]}, redirect: {to: /}}\n")
	for path, want := range map[string]int{"/text": 200, "/away": 302} {
		for _, way := range ways {
			a := way.send(t, p, "HEAD "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if resp, _ := parseResponse(t, a, "HEAD"); resp.StatusCode != want || resp.ContentLength <= 0 {
				t.Errorf("%s %s: %q", way.name, path, a)
			}
		}
	}
}

// TestStripPrefixWithEncodedSlash: what is left always begins with a slash.
func TestStripPrefixWithEncodedSlash(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := listenersTo(t, rec.URL, "", "", ", strip_prefix: /api")
	for path, want := range map[string]string{"/api%2Fx": "/api%2Fx", "/api/x%2Fy": "/x%2Fy", "/api": "/", "/api/%C3%BC": "/%C3%BC", "/apix": "/apix"} {
		sendWeb(t, p, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if saw := rec.take(); len(saw) != 1 || saw[0].line != "GET "+want {
			t.Errorf("%s: the upstream saw %q", path, saw)
		}
	}
}

type panicking struct{}

func (panicking) Serve(request.Response, *request.Request) error { panic("on purpose") }

// TestPanic: a fault in mkd is logged, and costs its request alone.
func TestPanic(t *testing.T) {
	rec := newRecorder(t, nil)
	p, log := listenersTo(t, rec.URL, "", "", "")
	cfg := p.current.Load().cfg
	routes, err := route.New(cfg, func(string) request.Backend { return panicking{} }, p.logs, &p.tally, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &generation{cfg: cfg, entries: make(map[string]*entry), over: make(chan struct{})}
	g.users.Store(1)
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		g.entries[l.Name] = &entry{routes.Handler(l), g, l}
	}
	for _, o := range p.open() {
		o.entry.Store(g.entries[o.config().Name])
	}
	p.retire(p.current.Swap(g))
	for _, way := range ways {
		if a := way.send(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !bytes.HasPrefix(a, []byte("HTTP/1.1 500 ")) || bytes.Contains(a, []byte("purpose")) {
			t.Errorf("%s: %q", way.name, a)
		}
	}
	if text := awaitLog(t, log, `"panic":"on purpose"`); !strings.Contains(text, "faults_test.go") {
		t.Error("the log doesn't say where")
	}
}
