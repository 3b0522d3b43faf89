package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/megaki"
)

// TestConnectionsShareASession: requests at once take several connections, at
// most MaxConns, and one handshake.
func TestConnectionsShareASession(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	var tokens sync.Map
	srv := &megaki.Server{Handler: site(func(w http.ResponseWriter, r *http.Request) {
		tokens.Store(r.Header.Get("Session"), true)
		if r.URL.Path == "/first" {
			entered <- true
			<-leave
		}
		io.WriteString(w, r.URL.Path)
	})}
	tr := transport(t, serve(t, "127.0.0.1:0", srv))
	tr.MaxConns = 4
	var resumed atomic.Int32
	tr.OnConnect = func(c *megaki.Conn) error {
		if c.Resumed() {
			resumed.Add(1)
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := get(t, tr, "http://x/first"); err != nil {
				t.Error(err)
			}
		})
		<-entered // so the server knows that the client has the resumption's key
	}
	close(leave)
	wg.Wait()
	for i := range 32 {
		wg.Go(func() {
			want := fmt.Sprintf("/%d", i)
			if got, err := get(t, tr, "http://x"+want); got != want || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
	n := 0
	tokens.Range(func(_, _ any) bool { n++; return true })
	if n != 1 || resumed.Load() != 3 || srv.Connections() != 4 {
		t.Errorf("%d sessions, %d resumptions, %d connections", n, resumed.Load(), srv.Connections())
	}
	// The session goes on where the last connection left it.
	tr.CloseIdleConnections()
	for range 3 {
		if _, err := get(t, tr, "http://x/"); err != nil {
			t.Fatal(err)
		}
		tr.CloseIdleConnections()
	}
	if resumed.Load() != 6 {
		t.Errorf("%d resumptions, want 6", resumed.Load())
	}
}

// TestIdleConnections: a connection expires here, or the server closes it; no
// request fails for it, and none is handled twice.
func TestIdleConnections(t *testing.T) {
	var handled atomic.Int32
	srv := &megaki.Server{IdleTimeout: 20 * time.Millisecond, Handler: site(func(http.ResponseWriter, *http.Request) { handled.Add(1) })}
	tr := transport(t, serve(t, "127.0.0.1:0", srv))
	alone := func() bool { return srv.Connections() == 0 }
	for range 3 {
		if _, err := do(t, tr, newRequest(t, "POST", "http://x/", strings.NewReader("once"))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server has closed the connection", alone)
	}
	if handled.Load() != 3 {
		t.Errorf("%d requests were handled", handled.Load())
	}

	patient := &megaki.Server{Handler: site(func(http.ResponseWriter, *http.Request) {})}
	tr = transport(t, serve(t, "127.0.0.1:0", patient))
	tr.IdleTimeout = 20 * time.Millisecond
	if _, err := get(t, tr, "http://x/"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection has expired", func() bool { return patient.Connections() == 0 })
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.idle) != 0 {
		t.Errorf("%d connections are idle", len(tr.idle))
	}
}

// TestServerRestarts: a new server knows no session; the next request does a
// handshake.
func TestServerRestarts(t *testing.T) {
	handler := site(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	srv := &megaki.Server{Handler: handler}
	address := serve(t, "127.0.0.1:0", srv)
	tr := transport(t, address)
	if _, err := get(t, tr, "http://x/"); err != nil {
		t.Fatal(err)
	}
	old := tr.Session().Token
	srv.Close()
	if _, err := get(t, tr, "http://x/"); err == nil {
		t.Error("a server that is down responds")
	}
	serve(t, address, &megaki.Server{Handler: handler})
	if got, err := get(t, tr, "http://x/"); got != "ok" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if tr.Session().Token == old {
		t.Error("the session is the old one")
	}
}

// TestUsedKey: when a key has carried as many messages as it may, the session is
// resumed.
func TestUsedKey(t *testing.T) {
	tr := transport(t, serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(func(http.ResponseWriter, *http.Request) {})}))
	tr.Config.MaxMessagesPerKey = 2
	var conns, resumed int
	tr.OnConnect = func(c *megaki.Conn) error {
		conns++
		if c.Resumed() {
			resumed++
		}
		return nil
	}
	for range 6 {
		if _, err := get(t, tr, "http://x/"); err != nil {
			t.Fatal(err)
		}
	}
	if conns != 3 || resumed != 2 {
		t.Errorf("%d connections, %d resumed, want 3 and 2", conns, resumed)
	}
}

// TestQueue: with one connection and a queue of one, a third request is refused,
// and one that waits obeys its context.
func TestQueue(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	tr := transport(t, serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(func(http.ResponseWriter, *http.Request) {
		entered <- true
		<-leave
	})}))
	tr.MaxConns, tr.MaxQueue = 1, 1
	first := make(chan error)
	go func() { _, err := get(t, tr, "http://x/"); first <- err }()
	<-entered
	ctx, cancel := context.WithCancelCause(t.Context())
	second := make(chan error)
	r := newRequest(t, "GET", "http://x/", nil).WithContext(ctx)
	go func() { _, err := tr.RoundTrip(r); second <- err }()
	eventually(t, "the second request waits", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.admitted == 2
	})
	if _, err := get(t, tr, "http://x/"); !errors.Is(err, ErrBusy) {
		t.Errorf("the third request: %v", err)
	}
	reason := errors.New("no patience")
	cancel(reason)
	if err := <-second; !errors.Is(err, reason) {
		t.Errorf("the second request: %v", err)
	}
	leave <- true
	if err := <-first; err != nil {
		t.Errorf("the first request: %v", err)
	}
}

// TestSessionIsKept: a program that is started again resumes its session.
func TestSessionIsKept(t *testing.T) {
	address := serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Session"))
	})})
	first := transport(t, address)
	token, err := get(t, first, "http://x/")
	if err != nil {
		t.Fatal(err)
	}
	second := transport(t, address)
	second.Config.Session = first.Session()
	resumed := false
	second.OnConnect = func(c *megaki.Conn) error { resumed = c.Resumed(); return nil }
	if got, err := get(t, second, "http://x/"); got != token || err != nil || !resumed {
		t.Errorf("%q, %v, want %q", got, err, token)
	}
}

// TestFailedResumptions: when connections end while they resume, the fourth does
// a handshake.
func TestFailedResumptions(t *testing.T) {
	address := serve(t, "127.0.0.1:0", &megaki.Server{Handler: site(func(http.ResponseWriter, *http.Request) {})})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // relays handshakes, and closes resumptions
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			header := make([]byte, 6)
			io.ReadFull(client, header)
			server, err := net.Dial("tcp", address)
			if err != nil || header[5] == 5 {
				client.Close()
				continue
			}
			server.Write(header)
			go io.Copy(server, client)
			go func() { io.Copy(client, server); client.Close() }()
		}
	}()
	tr := transport(t, l.Addr().String())
	tr.Config.Session = &megaki.Session{}
	for i := range maxFailedResumes {
		if _, err := get(t, tr, "http://x/"); err == nil {
			t.Errorf("request %d succeeds", i)
		}
	}
	if _, err := get(t, tr, "http://x/"); err != nil {
		t.Error(err)
	}
}

func TestOnConnectRefuses(t *testing.T) {
	srv := &megaki.Server{Handler: site(func(http.ResponseWriter, *http.Request) { t.Error("a request came") })}
	tr := transport(t, serve(t, "127.0.0.1:0", srv))
	reason := errors.New("the disk is full")
	tr.OnConnect = func(*megaki.Conn) error { return reason }
	if _, err := get(t, tr, "http://x/"); !errors.Is(err, reason) {
		t.Error(err)
	}
	eventually(t, "the connection is closed", func() bool { return srv.Connections() == 0 })
}
