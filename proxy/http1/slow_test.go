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

// TestSlowChunk sends a long chunk slower than the deadline for a standstill:
// each part comes in time, so the body isn't cut off.
func TestSlowChunk(t *testing.T) {
	t.Parallel()
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1000) // more than arrives within the deadline
		for {
			n, err := r.Body.Read(buf)
			if w.Write(buf[:n]); err == io.EOF {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}, func(s *Server) { s.BodyTimeout = 3 * time.Second })
	c := dial(t, addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n")
	for range 8 {
		time.Sleep(500 * time.Millisecond) // the subject: a client's pace
		io.WriteString(c, "x")
	}
	io.WriteString(c, "\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "xxxxxxxx" {
		t.Errorf("%q, %v", body, err)
	}
}

// TestSlowDrips has clients that send a byte now and then where no limit of size
// would end it: their connections end by the deadlines.
func TestSlowDrips(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil {
			return
		}
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("a body that never ended was read to its end")
		}
		w.WriteHeader(http.StatusRequestTimeout)
	}, func(s *Server) {
		s.HeaderTimeout, s.BodyTimeout, s.IdleTimeout, s.MinRate = 200*time.Millisecond, 200*time.Millisecond, time.Hour, 1000
	})
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, test := range []struct{ name, say, drip string }{
		{"in the request line", "GET /", "x"},
		{"in the request line of a second request", "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /", "x"},
		{"in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "y"},
		{"after a carriage return", "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\r", ""},
		{"in a body with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", "x"},
		{"in a chunk", head + "fffff\r\n", "x"},
		{"in a chunk's size", head + "0", "0"},
		{"in a chunk's extension", head + "1;", "x"},
		{"in many chunks", head, "1\r\nx\r\n"},
		{"in a trailer", head + "0\r\nX: ", "y"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, addr)
			io.WriteString(c, test.say)
			ended := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for test.drip != "" {
					select {
					case <-ended:
						return
					case <-time.After(20 * time.Millisecond):
						io.WriteString(c, test.drip)
					}
				}
			})
			br := bufio.NewReader(c)
			began := time.Now()
			if strings.Contains(test.say, "Content-Length: 0") {
				if resp, err := http.ReadResponse(br, nil); err != nil || resp.Close {
					t.Errorf("%+v, %v", resp, err)
				}
				await(t, "the end of the connection", func() bool { _, err := br.ReadByte(); return err != nil })
			} else if resp, err := http.ReadResponse(br, nil); err == nil && (resp.StatusCode != 408 || !resp.Close) {
				t.Errorf("%+v", resp)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			close(ended)
			wg.Wait()
		})
	}
}

// TestLongChunkExtension sends more than a line of chunk extension.
func TestLongChunkExtension(t *testing.T) {
	_, addr := start(t, echo, nil)
	for name, body := range map[string]string{
		"one":  "1;" + strings.Repeat("x", 1<<20),
		"many": strings.Repeat("1;"+strings.Repeat("x", 100)+"\r\nx\r\n", 10000),
	} {
		c := dial(t, addr)
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		io.WriteString(c, body)
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 400 || !resp.Close {
			t.Errorf("%s: %+v, %v", name, resp, err)
		}
	}
}

// TestClientThatReadsNothing must not hold a handler for longer than the write
// timeout.
func TestClientThatReadsNothing(t *testing.T) {
	failed := make(chan error, 1)
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				failed <- err
				return
			}
		}
	}, func(s *Server) { s.WriteTimeout = 100 * time.Millisecond })
	c := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-failed:
	case <-time.After(10 * time.Second):
		t.Fatal("the handler writes and writes")
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Logf("the connection ended with %v", err)
	}
}

// TestSlowReader takes a response that is written at once slower than the write
// timeout, but a part of it within each: it isn't cut off.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), 2<<20)
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	}, func(s *Server) {
		s.WriteTimeout = 3 * time.Second
		new := s.NewHandler
		s.NewHandler = func(c net.Conn) Handler {
			c.(*net.TCPConn).SetWriteBuffer(16 << 10)
			return new(c)
		}
	})
	c := dial(t, addr)
	c.(*net.TCPConn).SetReadBuffer(16 << 10)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, buf := 0, make([]byte, 128<<10)
	for {
		n, err := io.ReadFull(resp.Body, buf)
		got += n
		if err != nil {
			break
		}
		time.Sleep(300 * time.Millisecond) // the subject: a client's pace
	}
	if got != len(body) {
		t.Errorf("%d bytes came of %d", got, len(body))
	}
}
