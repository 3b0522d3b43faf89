package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// fakeConn is a server's end of a connection.
type fakeConn struct {
	net.Conn
	br *bufio.Reader
	n  int // of the connection, from 1
}

// received is a request as a server sees it.
type received struct {
	head string // with its empty line
	body string
}

// readHead reads the head of a request as it is.
func (c *fakeConn) readHead() (string, error) {
	var b strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		if b.WriteString(line); err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
	}
}

// read reads a request, whose body net/http decodes.
func (c *fakeConn) read() (received, error) {
	head, err := c.readHead()
	if err != nil {
		return received{}, err
	}
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head), c.br)))
	if err != nil {
		return received{head: head}, err
	}
	if r.ContentLength > 0 {
		p := make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, p)
		return received{head, string(p)}, err
	}
	p, err := io.ReadAll(r.Body)
	return received{head, string(p)}, err
}

func (c *fakeConn) say(parts ...string) { io.WriteString(c, strings.Join(parts, "")) }

// serve starts a server on TCP, and returns a Transport to it. Both end with the
// test.
func serve(t testing.TB, f func(c *fakeConn)) (*Transport, *fakeserver.Server) {
	t.Helper()
	return serveOn(t, fakeserver.TCP(t), f)
}

// serveUnix does so on a unix socket.
func serveUnix(t testing.TB, f func(c *fakeConn)) (*Transport, *fakeserver.Server) {
	t.Helper()
	return serveOn(t, fakeserver.Unix(t), f)
}

func serveOn(t testing.TB, l net.Listener, f func(c *fakeConn)) (*Transport, *fakeserver.Server) {
	tr := &Transport{Network: l.Addr().Network(), Address: l.Addr().String()}
	t.Cleanup(func() {
		if n := tr.Active(); n != 0 {
			t.Errorf("%d requests are left in flight", n)
		}
		if tr.inUse() != 0 || tr.waiting() != 0 {
			t.Errorf("%d connections are counted, %d wait", tr.inUse(), tr.waiting())
		}
	})
	s := fakeserver.Start(t, l, func(c net.Conn, n int) { f(&fakeConn{Conn: c, br: bufio.NewReader(c), n: n}) })
	t.Cleanup(tr.CloseIdleConnections)
	return tr, s
}

// responding returns a handler that reads each request of a connection and sends
// the same.
func responding(parts ...string) func(c *fakeConn) {
	return func(c *fakeConn) {
		for {
			if _, err := c.read(); err != nil {
				return
			}
			c.say(parts...)
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext"

func newRequest(t testing.TB, method, body string) *http.Request {
	t.Helper()
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://example.org/path?query", b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// roundTripAll sends a request and reads its whole response.
func roundTripAll(tr http.RoundTripper, r *http.Request) (*http.Response, string, error) {
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	return resp, string(p), err
}

// failure returns the *roundtrip.Error that every error must be.
func failure(t *testing.T, err error) *roundtrip.Error {
	t.Helper()
	var e *roundtrip.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v isn't an *roundtrip.Error", err)
	}
	return e
}

func idle(tr *Transport) int {
	return tr.idle.Len()
}

// body is a request's body that knows whether it was read and closed.
type body struct {
	io.Reader
	mu     sync.Mutex
	reads  int
	closed bool
	done   chan struct{} // closed by Close
}

func newBody(r io.Reader) *body { return &body{Reader: r, done: make(chan struct{})} }

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.reads++
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return 0, errors.New("read after close")
	}
	return b.Reader.Read(p)
}

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	return nil
}

func (b *body) state() (reads int, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads, b.closed
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
