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
	"testing/synctest"
	"time"
)

// slowSocket takes 1 KiB of what is sent in each second.
type slowSocket struct {
	net.Conn // never used
	request  io.Reader
	sent     bytes.Buffer
	until    time.Time
	buffer   int // bytes that ReadFrom reads, and loses if it fails; 0: it is the kernel, which does not
}

func (c *slowSocket) Read(p []byte) (int, error)         { return c.request.Read(p) }
func (c *slowSocket) Close() error                       { return nil }
func (c *slowSocket) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (c *slowSocket) SetReadDeadline(time.Time) error    { return nil }
func (c *slowSocket) SetWriteDeadline(t time.Time) error { c.until = t; return nil }

func (c *slowSocket) Write(p []byte) (n int, err error) {
	for n < len(p) {
		time.Sleep(time.Second)
		if !time.Now().Before(c.until) {
			return n, os.ErrDeadlineExceeded
		}
		more, _ := c.sent.Write(p[n:min(len(p), n+1<<10)])
		n += more
	}
	return n, nil
}

func (c *slowSocket) ReadFrom(r io.Reader) (total int64, err error) {
	buf := make([]byte, max(1<<10, c.buffer))
	for {
		n, err := r.Read(buf)
		if err != nil {
			return total, nil
		}
		written, err := c.Write(buf[:n])
		total += int64(written)
		if err == nil {
			continue
		}
		if limited := r.(*io.LimitedReader); c.buffer == 0 { // as the kernel
			limited.R.(io.Seeker).Seek(int64(written-n), io.SeekCurrent)
			limited.N += int64(n - written)
		}
		return total, err
	}
}

// TestSlowReaderOfAFile: a client that takes some of a file within each write_timeout gets
// all of it, however long that takes.
func TestSlowReaderOfAFile(t *testing.T) {
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(i >> 10)
	}
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, buffer := range []int{0, 32 << 10} {
		synctest.Test(t, func(t *testing.T) {
			c := &slowSocket{request: strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), buffer: buffer}
			s := &Server{WriteTimeout: 20 * time.Second, NewHandler: func(net.Conn) Handler {
				return handlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					f, err := os.Open(name)
					if err != nil {
						t.Error(err)
						return
					}
					defer f.Close()
					rw.Header()["Content-Length"] = []string{strconv.Itoa(len(content))}
					if _, err := rw.(*Response).ReadFrom(f); err != nil {
						t.Errorf("buffer %d: %v", buffer, err)
					}
				})
			}}
			s.ServeConn(c)
			if _, body, _ := strings.Cut(c.sent.String(), "\r\n\r\n"); body != string(content) {
				t.Errorf("buffer %d: %d bytes came of %d", buffer, len(body), len(content))
			}
		})
	}
}
