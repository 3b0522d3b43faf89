package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace has clients that send a body at a rate. The deadlines are those of the body: a
// longer one, which the head left, doesn't count.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		piece int           // bytes
		every time.Duration // one
		ok    bool
		took  time.Duration
	}{
		{"fast", 1500, 900 * time.Millisecond, true, 9 * time.Second},
		{"too slow on average", 500, 900 * time.Millisecond, false, 1500 * time.Millisecond},
		{"at a standstill", 1500, 2 * time.Second, false, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, nc := net.Pipe()
			var began time.Time
			read := make(chan error, 1)
			s := &Server{BodyTimeout: time.Second, MinRate: 1000, HeaderTimeout: time.Hour, NewHandler: func(net.Conn) Handler {
				return handlerFunc(func(w http.ResponseWriter, r *http.Request) {
					began = time.Now()
					_, err := io.ReadAll(r.Body)
					if _, again := r.Body.Read(make([]byte, 1)); err != nil && again != err {
						t.Errorf("%s: %v, and the next time %v", c.name, err, again)
					}
					read <- err
				})
			}}
			go s.ServeConn(nc)
			go io.Copy(io.Discard, client)
			go func() {
				io.WriteString(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n")
				for range 15000 / c.piece {
					time.Sleep(c.every)
					if _, err := io.WriteString(client, strings.Repeat("x", c.piece)); err != nil {
						return
					}
				}
			}()
			err := <-read
			if took := time.Since(began); (err == nil) != c.ok || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || took < c.took || took > c.took+time.Second/2 {
				t.Errorf("%s: %v after %v", c.name, err, took)
			}
			client.Close()
			time.Sleep(time.Minute) // until what writes has noticed
		})
	}
}

// TestReadInProgress: a Read that is in progress ends when the body is closed or the handler
// returns, for good. What the client sends from then on is nobody's.
func TestReadInProgress(t *testing.T) {
	read := make(chan error)
	release := make(chan struct{})
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		b := r.Body.(*body)
		io.ReadFull(b, make([]byte, 1))
		go func() {
			for range 2 {
				_, err := b.Read(make([]byte, 1))
				read <- err
			}
		}()
		await(t, "the body is being read", func() bool {
			if b.reading.TryLock() {
				b.reading.Unlock()
				return false
			}
			return true
		})
		if r.URL.Path == "/close" {
			b.Close()
			<-release
		}
	}, nil)
	for _, path := range []string{"/return", "/close"} {
		c := dial(t, addr)
		io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx")
		for range 2 {
			if err := <-read; err != http.ErrBodyReadAfterClose {
				t.Errorf("%s: %v", path, err)
			}
		}
		if path == "/close" {
			close(release)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || !resp.Close {
			t.Errorf("%s: %+v, %v", path, resp, err)
		}
		c.Close()
	}
}
