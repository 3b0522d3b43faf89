package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestResponseDropByDrop checks that the beginning of a response whose length is
// known reaches an HTTP client before the rest of it exists, through every listener that
// can stream.
func TestResponseDropByDrop(t *testing.T) {
	f := startFPM(t, 1, map[string]string{"index.php": `<?php
		header('Content-Length: 6');
		echo 'abc'; flush();
		for ($i = 0; !file_exists(dirname(__DIR__) . '/go' . $_GET['way']) && $i < 2000; $i++) { usleep(10000); clearstatcache(); }
		echo 'def';`}, "php_admin_value[output_buffering] = 0")
	script := onHTTP(t, `$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => new arca\Response((function () use ($r) {
		yield 'abc';
		for ($i = 0; !file_exists('`+f.dir+`/go' . $r->query['way']) && $i < 2000; $i++) { usleep(10000); clearstatcache(); }
		yield 'def';
	})(), 200, ['Content-Length' => 6])];`)
	released := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "6")
		io.WriteString(w, "abc")
		w.(http.Flusher).Flush()
		select {
		case <-released:
			io.WriteString(w, "def")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(u.Close)
	for name, backend := range map[string]string{
		"http":    "http: {upstreams: [{url: " + u.URL + "}]}",
		"fastcgi": `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + "}",
		"php":     "php: {script: " + script + ", workers: {min: 1, max: 1}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // if one waits for the whole response, so do the others
			p, _ := allListeners(t, `
backends:
  api: {`+backend+`}
routes:
  - backend: api
`)
			for way, c := range streamingClients(t, p) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, "GET", c.base+"/?way="+name+way, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.client.Do(r)
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				first := make([]byte, 3)
				_, err = io.ReadFull(resp.Body, first)
				if name == "http" {
					select {
					case released <- struct{}{}:
					case <-time.After(20 * time.Second):
						t.Fatalf("%s: the upstream has no request", way)
					}
				} else {
					touch(t, filepath.Join(f.dir, "go"+name+way))
				}
				if err != nil || string(first) != "abc" {
					t.Fatalf("%s: %q, %v before the rest exists", way, first, err)
				}
				if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "def" || resp.ContentLength != 6 {
					t.Errorf("%s: %q, %v, length %d", way, rest, err, resp.ContentLength)
				}
				resp.Body.Close()
			}
		})
	}
}

// streamingClient is a client of a listener of allListeners.
type streamingClient struct {
	client *http.Client
	base   string // of URLs
}

// streamingClients returns a client of each protocol whose responses can be streamed.
func streamingClients(t *testing.T, p *Daemon) map[string]streamingClient {
	overTLS := func(protocols func(*http.Protocols)) *http.Client {
		tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}, Protocols: new(http.Protocols), DisableCompression: true}
		protocols(tr.Protocols)
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, Timeout: 60 * time.Second}
	}
	secure := "https://" + p.Addr("tls").String()
	return map[string]streamingClient{
		"h1":  {overTLS(func(p *http.Protocols) { p.SetHTTP1(true) }), "http://" + p.Addr("web").String()},
		"tls": {overTLS(func(p *http.Protocols) { p.SetHTTP1(true) }), secure},
		"h2":  {overTLS(func(p *http.Protocols) { p.SetHTTP2(true) }), secure},
		"h3":  {http3Client(t, p.Addr("tls").String(), "localhost", nil), "https://localhost"},
	}
}

// TestTimeoutIsForStandingStill checks, for each backend, that a response that
// flows may last longer than the timeout of its route, and that one that pauses
// may not. In a Megaki message the timeout is for the whole of it.
func TestTimeoutIsForStandingStill(t *testing.T) {
	const parts, pause = 8, 150 * time.Millisecond // together far more than the timeout
	want := strings.Repeat("part\n", parts)
	f := startFPM(t, 3, map[string]string{"index.php": fmt.Sprintf(`<?php
		for ($i = 0; $i < %d; $i++) { echo "part\n"; flush(); usleep($_SERVER['REQUEST_URI'] === '/still' && $i === 2 ? 3000000 : %d); }`, parts, pause.Microseconds())},
		"php_admin_value[output_buffering] = 0")
	script := onHTTP(t, fmt.Sprintf(`$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => (function () use ($r) {
		for ($i = 0; $i < %d; $i++) { yield "part\n"; usleep($r->path === '/still' && $i === 2 ? 3000000 : %d); }
	})()];`, parts, pause.Microseconds()))
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range parts {
			io.WriteString(w, "part\n")
			w.(http.Flusher).Flush()
			wait := pause
			if r.URL.Path == "/still" && i == 2 {
				wait = 3 * time.Second
			}
			select {
			case <-time.After(wait):
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(u.Close)
	for name, backend := range map[string]string{
		"php's own": "php: {script: " + script + ", workers: {min: 3, max: 3}, timeout: 600ms}",
		"php":       "php: {script: " + script + ", workers: {min: 3, max: 3}}",
		"fastcgi":   `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + `, try: ["/index.php"]}`,
		"http":      "http: {upstreams: [{url: " + u.URL + "}]}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := "600ms"
			if name == "php's own" {
				timeout = "0"
			}
			p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {`+backend+`}
routes:
  - {backend: api, timeout: `+timeout+`}
`))
			get := func(path string) (string, error) {
				c := http.Client{Timeout: 20 * time.Second}
				resp, err := c.Get("http://" + p.Addr("web").String() + path)
				if err != nil {
					return "", err
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				return string(body), err
			}
			if body, err := get("/flows"); err != nil || body != want {
				t.Errorf("a response that flows: %q, %v", body, err)
			}
			if body, err := get("/still"); err == nil || len(body) > len(want)/2 {
				t.Errorf("a response that stands still: %q, %v", body, err)
			}
			response, err := client(t, p, "app").Send(t.Context(), []byte("GET /flows HTTP/1.1\r\nHost: x\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			wantStatus := 504
			if name == "php's own" {
				wantStatus = 200
			}
			if got := status(t, response); got != wantStatus {
				t.Errorf("in a message: %d, want %d", got, wantStatus)
			}
		})
	}
}

// TestHalfSentRequestsHoldNoUpstream checks that an upstream isn't connected for a
// request of which the body hasn't begun to come, through each listener.
func TestHalfSentRequestsHoldNoUpstream(t *testing.T) {
	var connections atomic.Int64
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}))
	u.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	u.Start()
	t.Cleanup(u.Close)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+u.URL+`}]}}
routes:
  - {match: {methods: [GET]}, respond: {status: 204}}
  - backend: api
`)
	const size = 100_000
	body := strings.Repeat("x", size)
	clients := streamingClients(t, p)
	// half is called when mkd has what comes before the body, and it alone.
	half := func(t *testing.T) {
		for range 20 { // a connection to the upstream would be there by then
			if resp, err := clients["h1"].client.Get(clients["h1"].base); err != nil || resp.StatusCode != 204 {
				t.Errorf("another request: %+v, %v", resp, err)
			}
		}
		if n := connections.Load(); n != 0 {
			t.Errorf("%d connections to the upstream before the body", n)
		}
	}
	do := func(name string, send func(t *testing.T) (string, error)) {
		t.Run(name, func(t *testing.T) {
			await(t, "no request is in flight", func() bool { return p.Status().InFlight == 0 })
			u.CloseClientConnections() // the request needs a new one
			connections.Store(0)
			if got, err := send(t); err != nil || got != body {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections to the upstream, want 1 for the body", n)
			}
		})
	}
	for name, dial := range map[string]func(t *testing.T) net.Conn{
		"http": func(t *testing.T) net.Conn {
			conn, err := net.Dial("tcp", p.Addr("web").String())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		},
		"https h1": func(t *testing.T) net.Conn { return dialTLS(t, p, "http/1.1") },
	} {
		for framing, content := range map[string]string{
			fmt.Sprintf("Content-Length: %d", size): body,
			"Transfer-Encoding: chunked":            chunkOf(body) + "0\r\n\r\n",
		} {
			do(name+" "+framing, func(t *testing.T) (string, error) {
				conn := dial(t)
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				br := bufio.NewReader(conn)
				io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+framing+"\r\n\r\n")
				// The client is asked for the body, so mkd waits for it.
				if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 100 {
					return "", fmt.Errorf("%+v, %w", resp, err)
				}
				half(t)
				go io.WriteString(conn, content)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					return "", err
				}
				got, err := io.ReadAll(resp.Body)
				return string(got), err
			})
		}
	}
	for _, way := range []string{"h2", "h3"} {
		do("https "+way, func(t *testing.T) (string, error) {
			content, begun := strings.NewReader(body), false
			r, err := http.NewRequestWithContext(t.Context(), "POST", clients[way].base, readerFunc(func(b []byte) (int, error) {
				if !begun {
					begun = true
					await(t, "mkd has the header", func() bool { return p.Status().InFlight > 0 })
					half(t)
				}
				return content.Read(b)
			}))
			if err != nil {
				return "", err
			}
			r.ContentLength = size
			resp, err := clients[way].client.Do(r)
			if err != nil {
				return "", err
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			return string(got), err
		})
	}
	do("megaki", func(t *testing.T) (string, error) {
		tcp, err := net.Dial("tcp", p.Addr("app").String())
		if err != nil {
			return "", err
		}
		defer tcp.Close()
		tcp.SetDeadline(time.Now().Add(30 * time.Second))
		halves := &halfWriter{Conn: tcp}
		conn, err := newMegakiConn(t, client(t, p, "app"), halves)
		if err != nil {
			return "", err
		}
		halves.half = func() { half(t) }
		response, err := conn.RoundTrip(t.Context(), (&asked{method: "POST", target: "/", fields: []string{"Host: x"}, body: body}).bytes())
		if err != nil {
			return "", err
		}
		if halves.half != nil {
			t.Error("the message wasn't written in halves")
		}
		_, got := parseResponse(t, response, "POST")
		return got, nil
	})
}

// halfWriter calls half, if it is set, after a half of what is written next.
type halfWriter struct {
	net.Conn
	half func()
}

// Write implements io.Writer.
func (w *halfWriter) Write(p []byte) (int, error) {
	half := w.half
	if half == nil {
		return w.Conn.Write(p)
	}
	w.half = nil
	n, err := w.Conn.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	half()
	m, err := w.Conn.Write(p[n:])
	return n + m, err
}

// readerFunc is a function as an io.Reader.
type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestBodiesOfAllLengths passes bodies on that end around the sizes at which they
// are received first.
func TestBodiesOfAllLengths(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, "")
	for _, size := range []int{0, 1, 4095, 4096, 4097, 64 << 10, 64<<10 + 1, 300_000} {
		body := strings.Repeat("x", size)
		for _, request := range []string{
			fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, body),
			fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n", chunkOf(body)),
		} {
			response := sendWeb(t, p, request)
			if saw := rec.take(); !bytes.HasPrefix(response, []byte("HTTP/1.1 200 ")) || len(saw) != 1 || saw[0].body != body {
				t.Errorf("%.60q of %d bytes: %.60q; the upstream saw %d requests", request, size, response, len(saw))
			}
		}
	}
}

func chunkOf(body string) string {
	if body == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
}
