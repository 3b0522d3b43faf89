package auth

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
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

// TestForwardResponse: what the client gets of the response of an auth server that refuses.
func TestForwardResponse(t *testing.T) {
	for _, c := range []struct {
		name, response string
		kind           request.Kind // of the error
		status         int
		header         http.Header
		length         int
	}{
		{"whole", "HTTP/1.1 403 No\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nno", 0,
			403, http.Header{"Set-Cookie": {"a=1", "b=2"}, "Content-Length": {"2"}}, 2},
		{"in chunks", "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 0,
			401, http.Header{"Content-Length": {"2"}}, 2},
		{"without a body", "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", 0,
			302, http.Header{"Location": {"/login"}}, 0},
		{"cut off", "HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nno", request.Down, 0, nil, 0},
		{"as long as may be", "HTTP/1.1 401 No\r\n\r\n" + strings.Repeat("x", maxAuthBody), 0,
			401, http.Header{"Content-Length": {"1048576"}}, maxAuthBody},
		{"too long", "HTTP/1.1 401 No\r\n\r\n" + strings.Repeat("x", maxAuthBody+1), request.Down, 0, nil, 0},
	} {
		s := fakeserver.Start(t, fakeserver.TCP(t), func(conn net.Conn, _ int) {
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, c.response)
		})
		state := NewState(t.Logf)
		g, err := newForward(&config.ForwardAuth{URL: "http://" + s.Address + "/", Timeout: 20 * time.Second}, state)
		if err != nil {
			t.Fatal(err)
		}
		r := from("192.0.2.1", "")
		r.URL = &url.URL{Path: "/"}
		w := &kept{header: http.Header{}}
		passed, err := g.Check(w, r)
		if passed || (err != nil) != (c.status == 0) || err != nil && request.KindOf(err) != c.kind {
			t.Errorf("%s: %v, %v", c.name, passed, err)
		}
		if w.status != c.status || w.length != c.length || c.header != nil && !reflect.DeepEqual(w.header, c.header) {
			t.Errorf("%s: the client gets %d, %v and %d bytes", c.name, w.status, w.header, w.length)
		}
		if n := state.relayed.InUse(); n != 0 {
			t.Errorf("%s: %d bytes are left", c.name, n)
		}
	}
}

// kept is a response that is kept.
type kept struct {
	request.Response
	header         http.Header
	status, length int
}

func (w *kept) Header() http.Header         { return w.header }
func (w *kept) WriteHeader(status int)      { w.status = status }
func (w *kept) Write(p []byte) (int, error) { w.length += len(p); return len(p), nil }

// TestForwardProofs: the auth server sees the fields by which a client proves who it is, and
// the backend gets them from that server alone, if it copies them.
func TestForwardProofs(t *testing.T) {
	asked := make(chan http.Header, 1)
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			t.Error(err)
			return
		}
		asked <- r.Header
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\nX-Forwarded-User: last\r\nX-Auth-Request-User: ann\r\nAuthorization: Bearer inner\r\n\r\n")
	})
	g, err := newForward(&config.ForwardAuth{URL: "http://" + s.Address + "/", Timeout: 20 * time.Second, Copy: []string{"authorization", "cookie", "x-role"}}, NewState(t.Logf))
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		r := from("192.0.2.1", "Bearer outer")
		r.URL, r.Secure = &url.URL{Path: "/"}, secure
		r.Header["Cookie"], r.Header["X-Role"], r.Header["X-Forwarded-Proto"] = []string{"session=1"}, []string{"admin"}, []string{"forged"}
		g.Strip(r.Header)
		passed, err := g.Check(&unwritten{t: t}, r)
		if !passed || err != nil {
			t.Fatal(passed, err)
		}
		h := <-asked
		if h.Get("Authorization") != "Bearer outer" || h.Get("Cookie") != "session=1" || h["X-Role"] != nil || h.Get("X-Forwarded-Proto") != map[bool]string{false: "http", true: "https"}[secure] {
			t.Errorf("the auth server got %v", h)
		}
		if r.Header.Get("Authorization") != "Bearer inner" || r.Header["Cookie"] != nil || r.Header["X-Role"] != nil || r.User != "ann" {
			t.Errorf("the backend gets %v of the user %q", r.Header, r.User)
		}
	}
}

// TestForwardClientLeaves: the error of a request whose client has left isn't one of the auth
// server.
func TestForwardClientLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := fakeserver.Start(t, fakeserver.TCP(t), func(c net.Conn, _ int) {
		in := bufio.NewReader(c)
		http.ReadRequest(in)
		leave()
		in.ReadByte() // until the connection is closed
	})
	g, err := newForward(&config.ForwardAuth{URL: "http://" + s.Address + "/", Timeout: 20 * time.Second}, NewState(t.Logf))
	if err != nil {
		t.Fatal(err)
	}
	r := from("192.0.2.1", "")
	r.URL = &url.URL{Path: "/"}
	r.Request = r.WithContext(ctx)
	if _, err := g.Check(&unwritten{t: t}, r); request.KindOf(err) == request.Down || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
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
