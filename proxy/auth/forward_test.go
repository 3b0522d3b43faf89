package auth

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mkd/config"
	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/request"
	"mkd/share"
)

// TestForwardStatus: a status of an auth server that can't end a request is a fault of
// that server, and no request passes.
func TestForwardStatus(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"} {
		s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, head)
		})
		g, err := newForward(&config.ForwardAuth{URL: "http://" + s.Address + "/", Timeout: 20 * time.Second}, NewState(t.Logf))
		if err != nil {
			t.Fatal(err)
		}
		r := from("192.0.2.1", "")
		r.URL = &url.URL{Path: "/"}
		w := &unwritten{t: t}
		if passed, err := g.Check(w, r); passed || err == nil || request.KindOf(err) != request.Down {
			t.Errorf("%q: %v, %v", head[:12], passed, err)
		}
	}
}

// TestForwardError: the error of a server that can't be reached, which is logged, has the
// reason, and not the query of its URL.
func TestForwardError(t *testing.T) {
	g, err := newForward(&config.ForwardAuth{URL: "http://127.0.0.1:1/?key=hush", Timeout: 20 * time.Second}, NewState(t.Logf))
	if err != nil {
		t.Fatal(err)
	}
	r := from("192.0.2.1", "")
	r.URL = &url.URL{Path: "/"}
	_, err = g.Check(&unwritten{t: t}, r)
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "127.0.0.1:1: ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
}

// TestForwardSlowClients: clients that don't read what the auth server has for them hold a
// bounded amount of memory, of which one client can't take all.
func TestForwardSlowClients(t *testing.T) {
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
	})
	state := NewState(t.Logf)
	state.relayed = share.NewPool(8000, 0)
	g, err := newForward(&config.ForwardAuth{URL: "http://" + s.Address + "/", Timeout: 20 * time.Second}, state)
	if err != nil {
		t.Fatal(err)
	}
	w := &slowClient{writing: make(chan struct{}, 9), read: make(chan struct{})}
	check := func(client string) error {
		r := from(client, "")
		r.URL = &url.URL{Path: "/"}
		_, err := g.Check(w, r)
		return err
	}
	results := make(chan error, 9)
	for range 6 {
		go func() { results <- check("192.0.2.1") }()
		<-w.writing
	}
	if err := check("192.0.2.1"); request.KindOf(err) != request.Busy {
		t.Errorf("beyond its share: %v", err)
	}
	go func() { results <- check("192.0.2.2") }()
	<-w.writing // another client gets its response
	close(w.read)
	for range 7 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := state.relayed.InUse(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

// slowClient is a response whose client reads when it likes.
type slowClient struct {
	request.Response
	writing, read chan struct{}
}

func (w *slowClient) Header() http.Header { return http.Header{} }
func (w *slowClient) WriteHeader(int)     {}
func (w *slowClient) Write(p []byte) (int, error) {
	w.writing <- struct{}{}
	<-w.read
	return len(p), nil
}

// unwritten is a response that nobody may write.
type unwritten struct {
	request.Response
	t *testing.T
}

func (w *unwritten) Header() http.Header { return http.Header{} }
func (w *unwritten) WriteHeader(status int) {
	w.t.Errorf("the client gets the status %d", status)
}
