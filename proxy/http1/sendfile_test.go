package http1

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// filesOnly is a socket that counts what it is given in a form from which package
// net sends files by the kernel: a file, or one LimitedReader of it.
type filesOnly struct {
	net.Conn
	byKernel int64
}

func (c *filesOnly) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(struct{ io.Writer }{c.Conn}, r)
	if limited, ok := r.(*io.LimitedReader); ok {
		r = limited.R
	}
	if _, ok := r.(*os.File); ok {
		c.byKernel += n
	}
	return n, err
}

// TestFilesBySendfile sends files as handlers do: whole, and in part.
func TestFilesBySendfile(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{0, int64(len(content)), 200_001} {
		want := content
		if limit > 0 {
			want = content[:limit]
		}
		client, server := tcpPair(t)
		socket := &filesOnly{Conn: server}
		s := &Server{NewHandler: func(net.Conn) Handler {
			return handlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				w := rw.(*Response)
				f, err := os.Open(name)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				w.Header()["Content-Length"] = []string{strconv.Itoa(len(want))}
				var from io.Reader = f
				if limit > 0 {
					from = io.LimitReader(f, limit)
				}
				if n, err := w.ReadFrom(from); n != int64(len(want)) || err != nil {
					t.Errorf("ReadFrom: %d, %v", n, err)
				}
			})
		}}
		done := make(chan struct{})
		go func() { s.ServeConn(socket); close(done) }()
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		all, err := io.ReadAll(client)
		<-done
		if _, body, _ := strings.Cut(string(all), "\r\n\r\n"); err != nil || body != string(want) {
			t.Errorf("limit %d: %d bytes came: %v", limit, len(body), err)
		}
		if socket.byKernel != int64(len(want)) {
			t.Errorf("limit %d: the kernel sent %d bytes of %d", limit, socket.byKernel, len(want))
		}
	}
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client = dial(t, l.Addr().String())
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}
