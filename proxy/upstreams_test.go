package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// restartable is an upstream that can be killed and started again at the same
// address. It counts what it handled by the request's path.
type restartable struct {
	address string
	idle    time.Duration // after which it closes a connection; 0: never
	handled *sync.Map     // path → *atomic.Int64
	count   atomic.Int64  // of all requests
	server  *http.Server
	done    chan struct{}
}

func newRestartable(t *testing.T, handled *sync.Map, idle time.Duration) *restartable {
	t.Helper()
	s := &restartable{address: "127.0.0.1:" + freePort(t), handled: handled, idle: idle}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *restartable) start(t *testing.T) {
	t.Helper()
	var l net.Listener
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if l, err = net.Listen("tcp", s.address); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
	s.server = &http.Server{IdleTimeout: s.idle, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		n, _ := s.handled.LoadOrStore(r.URL.Path, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		s.count.Add(1)
		time.Sleep(2 * time.Millisecond) // so that death comes in between
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	})}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.server.Serve(l)
	}()
}

// kill cuts all connections off.
func (s *restartable) kill() {
	s.server.Close()
	<-s.done
}

// TestUpstreamsUnderLoad kills one of two upstreams again and again. No GET
// fails, and no POST is handled twice.
func TestUpstreamsUnderLoad(t *testing.T) {
	var handled sync.Map
	steady, shaky := newRestartable(t, &handled, 0), newRestartable(t, &handled, 0)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: "http://`+steady.address+`"}, {url: "http://`+shaky.address+`"}]}}
routes:
  - backend: api
`))
	var stop atomic.Bool
	var gets, posts, lost atomic.Int64
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			send := megakiSender(t, p)
			if i%2 == 1 {
				send = webSender(t, p)
			}
			for n := 0; !stop.Load(); n++ {
				method, body := "GET", ""
				if n%4 == 3 {
					method, body = "POST", "content"
				}
				path := fmt.Sprintf("/%d/%d", i, n)
				status, got := send(method, path, body)
				switch {
				case status == 200 && got != method+" "+path+" "+body:
					t.Errorf("%s %s got the answer of another: %q", method, path, got)
				case method == "GET":
					gets.Add(1)
					if status != 200 {
						t.Errorf("GET %s: %d %s", path, status, got)
					}
				default:
					posts.Add(1)
					if status != 200 {
						lost.Add(1)
					}
				}
			}
		})
	}
	for kills := 0; kills < 5 || lost.Load() == 0 && kills < 200; kills++ { // on a busy machine few requests are in flight
		for n, deadline := shaky.count.Load(), time.Now().Add(20*time.Second); shaky.count.Load() < n+50; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("an upstream that is back gets no requests")
			}
		}
		shaky.kill()
		shaky.start(t)
	}
	stop.Store(true)
	clients.Wait()
	t.Logf("%d GET, %d POST, of which %d met the death of their upstream", gets.Load(), posts.Load(), lost.Load())
	handled.Range(func(path, n any) bool {
		var client, count int
		fmt.Sscanf(path.(string), "/%d/%d", &client, &count)
		if times := n.(*atomic.Int64).Load(); times > 1 && count%4 == 3 {
			t.Errorf("POST %s was handled %d times", path, times)
		}
		return true
	})
	if gets.Load() < 100 || lost.Load() == 0 {
		t.Error("nobody met a death: there was no load")
	}
}

// TestUpstreamClosesIdleConnections: a connection that the upstream closes just
// when it is used fails no GET, and no POST.
func TestUpstreamClosesIdleConnections(t *testing.T) {
	var handled sync.Map
	u := newRestartable(t, &handled, 100*time.Millisecond)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: "http://`+u.address+`"}]}}
routes:
  - backend: api
`))
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			send := megakiSender(t, p)
			if i%2 == 1 {
				send = webSender(t, p)
			}
			for n := range 20 {
				// Around the time at which it is closed, but not at it: then
				// a POST would be written already, and rightly fail.
				wait := 60 * time.Millisecond
				if n%2 == 1 {
					wait = 160 * time.Millisecond
				}
				time.Sleep(wait)
				method := []string{"GET", "POST"}[n/2%2]
				path := fmt.Sprintf("/%d/%d", i, n)
				if status, got := send(method, path, ""); status != 200 {
					t.Errorf("%s %s: %d %s", method, path, status, got)
				}
			}
		})
	}
	clients.Wait()
}

// TestDeadConnectionsOfALoneUpstream: all connections that were kept to the only server are
// dead, and nothing shows it before they are used, as after its machine has restarted. A GET
// is repeated on a new one.
func TestDeadConnectionsOfALoneUpstream(t *testing.T) {
	const most = 3
	var restarted atomic.Bool
	var arrived sync.WaitGroup
	arrived.Add(most)
	u := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		old := r.Context().Value(oldConnection{}).(bool)
		switch {
		case !restarted.Load():
			arrived.Done()
			arrived.Wait() // so that each request has a connection
		case old:
			panic(http.ErrAbortHandler) // closes it
		}
	}))
	u.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, oldConnection{}, !restarted.Load())
	}
	u.Start()
	t.Cleanup(u.Close)
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {api: {http: {upstreams: [{url: "`+u.URL+`"}]}}}
routes: [{backend: api}]
`))
	var clients sync.WaitGroup
	for range most {
		clients.Go(func() {
			if status, _ := webSender(t, p)("GET", "/", ""); status != 200 {
				t.Errorf("before: %d", status)
			}
		})
	}
	clients.Wait()
	restarted.Store(true)
	if status, got := webSender(t, p)("GET", "/", ""); status != 200 {
		t.Errorf("after: %d %s", status, got)
	}
}

// oldConnection is the key of whether a connection is one of before the restart.
type oldConnection struct{}

// TestAllUpstreamsDown: 503 with Retry-After, and at once.
func TestAllUpstreamsDown(t *testing.T) {
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: "http://127.0.0.1:`+freePort(t)+`"}, {url: "http://127.0.0.1:`+freePort(t)+`"}], dial_timeout: 1m}}
routes:
  - backend: api
`))
	for range 3 {
		for _, way := range ways {
			response := way.send(t, p, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if resp, _ := parseResponse(t, response, "GET"); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %q", way.name, response)
			}
		}
	}
}

// TestBadURLTakesNoServerAway: one client asks again and again for URLs that
// the only server responds to wrongly, late or not at all. Others are served.
func TestBadURLTakesNoServerAway(t *testing.T) {
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/malformed", "/cut":
			conn, _, _ := http.NewResponseController(w).Hijack()
			defer conn.Close()
			if r.URL.Path == "/malformed" {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nno field\r\n\r\n")
			}
		case "/slow":
			<-r.Context().Done()
		}
		io.WriteString(w, "ok")
	}))
	t.Cleanup(u.Close)
	f := startFPM(t, 4, map[string]string{"index.php": "<?php if ($_SERVER['REQUEST_URI'] === '/slow') sleep(1); elseif ($_SERVER['REQUEST_URI'] === '/cut') posix_kill(getmypid(), 9); " +
		"elseif ($_SERVER['REQUEST_URI'] === '/malformed') header('Status: nonsense'); echo 'ok';"}, "request_terminate_timeout = 2s")
	for name, backend := range map[string]string{
		"http":    "http: {upstreams: [{url: " + u.URL + "}], response_timeout: 20ms}",
		"fastcgi": `fastcgi: {addresses: ["unix:` + f.dir + `/s"], root: ` + f.public + `, try: ["/index.php"], response_timeout: 300ms}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {`+backend+`}
routes:
  - backend: api
`))
			bad, good := webSender(t, p), megakiSender(t, p)
			for _, path := range []string{"/malformed", "/slow", "/cut"} {
				for i := range 5 {
					if status, _ := bad("GET", path, ""); status < 500 {
						t.Errorf("%s: %d", path, status)
					}
					if i < 3 {
						continue // so many in a row without anybody else
					}
					if status, got := good("GET", "/", ""); status != 200 || got != "ok" {
						t.Errorf("after %s: %d %s", path, status, got)
					}
				}
			}
		})
	}
}

// sender sends a request, and returns the status and the body of its response.
type sender func(method, path, body string) (int, string)

func megakiSender(t *testing.T, p *Daemon) sender {
	c := client(t, p, "app")
	return func(method, path, body string) (int, string) {
		response, err := c.Send(t.Context(), requestBytes(method, path, body))
		if err != nil {
			return 0, err.Error()
		}
		return readResponse(bufio.NewReader(bytes.NewReader(response)))
	}
}

func webSender(t *testing.T, p *Daemon) sender {
	conn, err := net.Dial("tcp", p.Addr("web").String())
	if err != nil {
		t.Error(err)
		return func(string, string, string) (int, string) { return 0, "" }
	}
	t.Cleanup(func() { conn.Close() })
	br := bufio.NewReader(conn)
	return func(method, path, body string) (int, string) {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Write(requestBytes(method, path, body)); err != nil {
			return 0, err.Error()
		}
		return readResponse(br)
	}
}

func requestBytes(method, path, body string) []byte {
	length := ""
	if method == "POST" {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return []byte(method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body)
}

func readResponse(br *bufio.Reader) (int, string) {
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}
