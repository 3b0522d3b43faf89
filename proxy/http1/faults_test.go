package http1

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRefusalIsNotReset has a client send much after a head that is refused:
// it must receive the response, though it sends all before it reads.
func TestRefusalIsNotReset(t *testing.T) {
	_, addr := start(t, echo, nil)
	for _, test := range []struct {
		name, head string
		status     int
	}{
		{"two framings", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"a head that is too long", "GET / HTTP/1.1\r\nHost: a\r\nX: ", 431},
		{"a client that wants the connection closed", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /more", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, addr)
			io.WriteString(c, test.head)
			if _, err := c.Write(bytes.Repeat([]byte("x"), 4<<20)); err != nil {
				t.Fatalf("sending: %v", err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != test.status || !resp.Close {
				t.Errorf("%+v, %v; want %d", resp, err, test.status)
			}
		})
	}
}

// TestLateReadOfBody keeps the body of a request, and reads it while the next
// request is handled: the bytes of that one belong to it alone.
func TestLateReadOfBody(t *testing.T) {
	var first io.Reader
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		if first == nil {
			first = r.Body
			io.ReadAll(r.Body)
			return
		}
		if n, err := first.Read(make([]byte, 10)); n > 0 || err == nil {
			t.Errorf("the first request's body has %d bytes of the second's, %v", n, err)
		}
		echo(w, r)
	}, nil)
	got := talk(t, addr, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ndef")
	if !strings.HasSuffix(got, `POST /2 "def"`) {
		t.Errorf("got %q", got)
	}
}

// TestLateQuestionOfContext asks for the end of a request's context after the
// request, as package context does on goroutines that start late. It must have
// ended for good, or package context would panic, and the connection must keep
// its deadline.
func TestLateQuestionOfContext(t *testing.T) {
	for _, asked := range []bool{false, true} {
		contexts := make(chan context.Context, 2)
		_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
			if asked {
				r.Context().Done()
			}
			contexts <- r.Context()
		}, func(s *Server) { s.IdleTimeout = 100 * time.Millisecond })
		c := dial(t, addr)
		br := bufio.NewReader(c)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(br, nil); err != nil {
			t.Fatal(err)
		}
		ctx := <-contexts
		await(t, "the request's end", func() bool {
			select {
			case <-ctx.Done():
				return true
			default:
				return false
			}
		})
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(br, nil); err != nil {
			t.Fatal(err)
		}
		if ctx.Err() == nil {
			t.Errorf("asked %v: the context of a request that has ended goes on with the next", asked)
		}
		if next := <-contexts; next == ctx {
			t.Errorf("asked %v: two requests have the same context", asked)
		}
		if n, err := br.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("asked %v: %d, %v; want the end of an idle connection", asked, n, err)
		}
	}
}

// await waits until done returns true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 seconds", what)
		}
	}
}

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
		s.WriteTimeout = 500 * time.Millisecond
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
		time.Sleep(100 * time.Millisecond) // the subject: a client's pace
	}
	if got != len(body) {
		t.Errorf("%d bytes came of %d", got, len(body))
	}
}

// TestIdleAfterLargeHead has connections stay idle after a head as large as may
// be: they must not keep it.
func TestIdleAfterLargeHead(t *testing.T) {
	s, addr := start(t, func(w http.ResponseWriter, r *http.Request) {}, nil)
	var say strings.Builder
	say.WriteString("GET / HTTP/1.1\r\nHost: a\r\n")
	for i := range 190 {
		fmt.Fprintf(&say, "X-Field-%d: %s\r\n", i, strings.Repeat("x", 300))
	}
	say.WriteString("\r\n")
	const connections = 200
	before := heap()
	for range connections {
		c := dial(t, addr)
		io.WriteString(c, say.String())
		if resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%+v, %v", resp, err)
		}
	}
	await(t, "all connections are idle", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			if c.state.Load() != waiting {
				return false
			}
		}
		return true
	})
	each := (heap() - before) / connections
	t.Logf("%d bytes for each idle connection and its client", each)
	if each > 20<<10 {
		t.Errorf("an idle connection takes %d bytes", each)
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestShutdownWhileClientSends shuts the server down while a client still sends
// the body of a request that was refused: it receives the response.
func TestShutdownWhileClientSends(t *testing.T) {
	responded := make(chan struct{})
	s, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		w.(*Response).FlushError()
		close(responded)
	}, nil)
	c := dial(t, addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
	<-responded
	await(t, "the connection lingers", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.conns {
			return c.state.Load() == lingering
		}
		return false
	})
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	await(t, "Shutdown has begun", s.draining.Load)
	for sent := 0; sent < 1000000; sent += 1000 {
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			t.Fatalf("after %d bytes: %v", sent, err)
		}
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 413 {
		t.Errorf("%+v, %v", resp, err)
	}
	c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFramingFieldsInAnyCase has a handler set fields that are the server's, with
// names that aren't canonical.
func TestFramingFieldsInAnyCase(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["transfer-encoding"], h["content-length"], h["CONNECTION"] = []string{"chunked"}, []string{"1000"}, []string{"close"}
		h[http.TrailerPrefix+"content-length"] = []string{"5"}
		io.WriteString(w, "abc")
	}, nil)
	got := talk(t, addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if want := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestBodyReadWhileHandlerReturns reads a body on another goroutine, which the
// handler doesn't wait for, as a backend may that has responded early. The
// connection must serve on or end, and no byte of it may reach the wrong reader.
func TestBodyReadWhileHandlerReturns(t *testing.T) {
	var readers sync.WaitGroup
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		done := r.Context().Done()
		readers.Go(func() {
			got, _ := io.ReadAll(body)
			if strings.Contains(string(got), "GET") {
				t.Errorf("the body is %q", got)
			}
			<-done
		})
		runtime.Gosched()
		fmt.Fprint(w, "ok")
	}, nil)
	for i := range 200 {
		c := dial(t, addr)
		br := bufio.NewReader(c)
		for range 3 {
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
			if i%2 == 0 {
				runtime.Gosched()
			}
			io.WriteString(c, "56789")
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
				t.Fatalf("%q, %v", body, err)
			}
			if resp.Close {
				break
			}
		}
		c.Close()
	}
	readers.Wait()
}

// TestResetWhileBodyIsRead takes a response back while another goroutine begins to
// read the body, for which the client waits to be asked.
func TestResetWhileBodyIsRead(t *testing.T) {
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		go r.Body.Read(make([]byte, 1))
		w.(*Response).Reset()
		w.WriteHeader(500)
	}, nil)
	for range 100 {
		c := dial(t, addr)
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
		br := bufio.NewReader(c)
		resp, err := http.ReadResponse(br, nil)
		if err == nil && resp.StatusCode == 100 {
			resp, err = http.ReadResponse(br, nil)
		}
		if err != nil || resp.StatusCode != 500 {
			t.Fatalf("%+v, %v", resp, err)
		}
		c.Close()
	}
}
