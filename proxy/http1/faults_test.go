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
	"weak"
)

// TestRefusalIsNotReset: a client sends much after a head that is refused;
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

// TestIdleAfterManyFields has connections stay idle after messages with as many fields as
// may be. They must not keep what that took, even if nobody sees the fields at the end.
func TestIdleAfterManyFields(t *testing.T) {
	fields := func(n int, format string, args ...any) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, format, append([]any{i}, args...)...)
		}
		return all.String()
	}
	fill := func(h http.Header) {
		for i := range 500 {
			h[fmt.Sprint("F", i)] = []string{"x"}
		}
	}
	nothing := func(w http.ResponseWriter, r *http.Request) {}
	idleBytes(t, "", nothing) // what the process allocates once
	plain := idleBytes(t, "", nothing)
	for _, c := range []struct {
		name, fields string
		handle       handlerFunc
	}{
		{"long fields", fields(190, "X-Field-%d: %s\r\n", strings.Repeat("x", 300)), nothing},
		{"short fields", fields(190, "F%d:\r\n"), nothing},
		{"fields that the handler removes", fields(190, "F%d:\r\n"), func(w http.ResponseWriter, r *http.Request) { clear(r.Header) }},
		{"one field, many times", strings.Repeat("F:\r\n", 190), nothing},
		{"a response", "", func(w http.ResponseWriter, r *http.Request) { fill(w.Header()) }},
		{"a response that is taken back", "", func(w http.ResponseWriter, r *http.Request) { fill(w.Header()); w.(*Response).Reset() }},
		{"a response that is cleared", "", func(w http.ResponseWriter, r *http.Request) { fill(w.Header()); clear(w.Header()) }},
		{"an informational response", "", func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			fill(h)
			w.WriteHeader(http.StatusEarlyHints)
			clear(h)
		}},
	} {
		each := idleBytes(t, c.fields, c.handle)
		t.Logf("%s: %d bytes for each idle connection and its client, %d after a plain request", c.name, each, plain)
		if each > plain+6<<10 {
			t.Errorf("%s: an idle connection takes %d bytes, %d after a plain request", c.name, each, plain)
		}
	}
}

// idleBytes returns how many bytes an idle connection takes, with its client, after a
// request with fields.
func idleBytes(t *testing.T, fields string, f handlerFunc) int {
	s, addr := start(t, f, nil)
	const connections = 50
	before := heap()
	var clients []net.Conn
	for range connections {
		c := dial(t, addr)
		clients = append(clients, c)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n")
		br := bufio.NewReaderSize(c, 16)
		for status := 100; status < 200; {
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			status = resp.StatusCode
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
	for _, c := range clients {
		c.Close()
	}
	await(t, "all connections have ended", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) == 0
	})
	return each
}

// TestIdleAfterResponse: a connection that rests holds on to nothing that a handler put
// into the header.
func TestIdleAfterResponse(t *testing.T) {
	made := make(chan weak.Pointer[[1000]string], 1)
	_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
		values := new([1000]string)
		values[0] = "x"
		made <- weak.Make(values)
		w.Header()["X"] = values[:1]
	}, nil)
	c := dial(t, addr)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.Header.Get("X") != "x" {
		t.Fatal(resp, err)
	}
	held := <-made
	await(t, "the header is given up", func() bool {
		runtime.GC()
		return held.Value() == nil
	})
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

// TestWriteAfterFinish: what a handler writes after it has finished the response belongs
// to no response. It once came first in that of the next request.
func TestWriteAfterFinish(t *testing.T) {
	late := map[string]func(w *Response) error{
		"Write":      func(w *Response) error { _, err := w.Write([]byte("late")); return err },
		"Write much": func(w *Response) error { _, err := w.Write(make([]byte, 2*gatherSize)); return err },
		"ReadFrom":   func(w *Response) error { _, err := w.ReadFrom(strings.NewReader("late")); return err },
		"FlushError": func(w *Response) error { return w.FlushError() },
	}
	for name, late := range late {
		for _, length := range []string{"", "9"} {
			_, addr := start(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/second" {
					io.WriteString(w, "second")
					return
				}
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				io.WriteString(w, "123456789")
				resp := w.(*Response)
				if err := resp.Finish(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if err := late(resp); (err == nil) != (name == "FlushError") || resp.Size() > 9 {
					t.Errorf("%s: %v, %d bytes", name, err, resp.Size())
				}
			}, nil)
			got := talk(t, addr, "GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
			want := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
			if got != want {
				t.Errorf("%s after a length of %q: %q", name, length, got)
			}
		}
	}
}
