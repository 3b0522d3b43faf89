package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// oneWay is a connection from which a client's bytes are read, and whose
// writes are dropped.
type oneWay struct {
	io.Reader
	wrote bytes.Buffer
}

func (c *oneWay) Write(p []byte) (int, error)      { return c.wrote.Write(p) }
func (c *oneWay) Close() error                     { return nil }
func (c *oneWay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *oneWay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *oneWay) SetDeadline(time.Time) error      { return nil }
func (c *oneWay) SetReadDeadline(time.Time) error  { return nil }
func (c *oneWay) SetWriteDeadline(time.Time) error { return nil }

// FuzzConnection compares with net/http: of the bytes of a connection, whatever
// they are and however they are cut into reads, the requests that are handled
// here are the first of those that net/http reads, each with the same method,
// target, host and body. A request that one server sees and the next doesn't
// would be smuggled.
func FuzzConnection(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /part HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET http://b/2 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
		"\r\nPOST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		var got []string
		var mu sync.Mutex
		h := handlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := []byte("unread"), error(nil)
			switch {
			case r.URL.Path == "/unread":
			case r.URL.Path == "/part":
				if r.Body == nil {
					break
				}
				r.Body.Read(make([]byte, 2))
			default:
				if body = nil; r.Body != nil {
					body, err = io.ReadAll(r.Body)
				}
			}
			if err != nil {
				w.WriteHeader(400)
				return
			}
			mu.Lock()
			got = append(got, describe(r, body))
			mu.Unlock()
			w.Write(body)
		})
		s := &Server{NewHandler: func(net.Conn) Handler { return h }}
		c := &oneWay{Reader: bytes.NewReader(stream)}
		if piece > 0 {
			c.Reader = &pieces{c.Reader, int(piece)}
		}
		s.ServeConn(c)

		want := theirs(stream)
		for i, request := range got {
			if i >= len(want) {
				t.Fatalf("handled %s, which net/http doesn't see: %q after %q", request, stream, want)
			}
			if request != want[i] {
				t.Fatalf("handled\n%s, net/http reads\n%s: %q", request, want[i], stream)
			}
		}
	})
}

// pieces reads n bytes at a time.
type pieces struct {
	io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(p.n, len(b))]) }

func describe(r *http.Request, body []byte) string {
	return fmt.Sprintf("%s %s of %s with %q", r.Method, r.RequestURI, strings.ToLower(r.Host), body)
}

// theirs returns the requests that net/http reads.
func theirs(stream []byte) (all []string) {
	br := bufio.NewReader(bytes.NewReader(stream))
	for {
		if p, _ := br.Peek(2); string(p) == "\r\n" {
			br.Discard(2)
		}
		r, err := http.ReadRequest(br)
		if err != nil {
			return all
		}
		body, err := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/unread":
			all = append(all, describe(r, []byte("unread")))
		case "/part":
			all = append(all, describe(r, []byte("unread")))
		default:
			all = append(all, describe(r, body))
		}
		if err != nil {
			return all
		}
	}
}
