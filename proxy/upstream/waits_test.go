package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mkd/internal/testserver/fakeserver"
	"mkd/proxy/roundtrip"
)

// within fails a test whose call takes too long for what it waits for. It is
// generous: it looks for a hang.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
}

// silent reads a request, sends what it is given, and then nothing.
func silent(says string) func(f *fakeConn) {
	return func(f *fakeConn) {
		if _, err := f.read(); err == nil {
			f.say(says)
			f.br.ReadByte()
		}
	}
}

func TestTimeouts(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, c := range []struct {
		name, says string
		set        func(tr *Transport)
		responded  bool
	}{
		{"no response", "", func(tr *Transport) { tr.ResponseTimeout = 150 * time.Millisecond }, false},
		{"no response, sooner than roundtrip.Patience", "", func(tr *Transport) { tr.ResponseTimeout = 20 * time.Millisecond }, false},
		{"half a head", "HTTP/1.1 200 OK\r\n", func(tr *Transport) { tr.ResponseTimeout = 150 * time.Millisecond }, true},
		{"1xx only", "HTTP/1.1 103 x\r\n\r\n", func(tr *Transport) { tr.ResponseTimeout = 150 * time.Millisecond }, true},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntext", func(tr *Transport) { tr.ReadTimeout = 150 * time.Millisecond }, true},
		{"no end of chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n", func(tr *Transport) { tr.ReadTimeout = 20 * time.Millisecond }, true},
		{"no end", "HTTP/1.1 200 OK\r\n\r\ntext", func(tr *Transport) { tr.ReadTimeout = 150 * time.Millisecond }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr, _ := serve(t, silent(c.says))
			c.set(tr)
			within(t, func() {
				_, _, err := roundTripAll(tr, newRequest(t, "GET", ""))
				if e := failure(t, err); !errors.Is(err, roundtrip.ErrTimeout) || !e.Timeout() || !e.Sent || e.Responded != c.responded {
					t.Errorf("%+v", e)
				}
			})
			if idle(tr) != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// TestDrip: a server sends a byte at a time, which is no progress of a head.
func TestDrip(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.read()
		f.say("HTTP/1.1 200 OK\r\nA: ")
		for {
			if _, err := f.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	tr.ResponseTimeout = 200 * time.Millisecond
	within(t, func() {
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "")); !errors.Is(err, roundtrip.ErrTimeout) {
			t.Error(err)
		}
	})
}

// TestContexts ends the context at each stage, with and without a deadline.
func TestContexts(t *testing.T) {
	fakeserver.NoLeaks(t)
	cause := errors.New("the client left")
	stages := map[string]func(t *testing.T) (tr *Transport, ready chan struct{}){
		"waiting for a connection": func(t *testing.T) (*Transport, chan struct{}) {
			ready := make(chan struct{}, 2)
			tr, _ := serve(t, silent(""))
			tr.MaxConnections = 1
			ctx, cancel := context.WithCancel(t.Context())
			first := make(chan struct{})
			go func() {
				defer close(first)
				roundTripAll(tr, newRequest(t, "GET", "").WithContext(ctx))
			}()
			fakeserver.Eventually(t, "the connection is in use", func() bool { tr.mu.Lock(); defer tr.mu.Unlock(); return tr.inUse() == 1 })
			t.Cleanup(func() { cancel(); <-first })
			ready <- struct{}{}
			return tr, ready
		},
		"the response's head": func(t *testing.T) (*Transport, chan struct{}) {
			ready := make(chan struct{}, 1)
			tr, _ := serve(t, func(f *fakeConn) { f.read(); ready <- struct{}{}; f.br.ReadByte() })
			return tr, ready
		},
		"the response's body": func(t *testing.T) (*Transport, chan struct{}) {
			ready := make(chan struct{}, 1)
			tr, _ := serve(t, func(f *fakeConn) {
				f.read()
				f.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntext")
				ready <- struct{}{}
				f.br.ReadByte()
			})
			return tr, ready
		},
		"the handshake": func(t *testing.T) (*Transport, chan struct{}) {
			ready := make(chan struct{}, 1)
			tr, _ := serve(t, func(f *fakeConn) { ready <- struct{}{}; io.Copy(io.Discard, f.br) })
			tr.TLS = testTLS(t).client
			return tr, ready
		},
	}
	for name, stage := range stages {
		t.Run(name+"/cancelled", func(t *testing.T) {
			t.Parallel()
			tr, ready := stage(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-ready; cancel(cause) }()
			within(t, func() {
				_, _, err := roundTripAll(tr, newRequest(t, "GET", "").WithContext(ctx))
				if failure(t, err); !errors.Is(err, cause) {
					t.Error(err)
				}
			})
		})
		t.Run(name+"/deadline", func(t *testing.T) {
			t.Parallel()
			tr, _ := stage(t)
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			within(t, func() {
				_, _, err := roundTripAll(tr, newRequest(t, "GET", "").WithContext(ctx))
				if e := failure(t, err); !errors.Is(err, context.DeadlineExceeded) || !e.Timeout() {
					t.Error(err)
				}
			})
		})
	}
	t.Run("before", func(t *testing.T) {
		tr, s := serve(t, responding(ok))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		b := newBody(strings.NewReader("body"))
		r := newRequest(t, "POST", "").WithContext(ctx)
		r.Body, r.ContentLength = b, 4
		_, _, err := roundTripAll(tr, r)
		if e := failure(t, err); !errors.Is(err, cause) || e.Sent || s.Connections() != 0 {
			t.Errorf("%+v", e)
		}
		if _, closed := b.state(); !closed {
			t.Error("the body is open")
		}
	})
}

// TestCheapContext checks that a context isn't watched in a short round trip.
func TestCheapContext(t *testing.T) {
	tr, _ := serve(t, responding(ok))
	ctx := &countingContext{Context: t.Context()}
	// The first connection may take long on a busy machine.
	for range 20 {
		ctx.watched = 0
		if _, _, err := roundTripAll(tr, newRequest(t, "GET", "").WithContext(ctx)); err != nil {
			t.Fatal(err)
		}
		if ctx.watched == 0 {
			return
		}
	}
	t.Error("Done is called")
}

type countingContext struct {
	context.Context
	watched int
}

func (c *countingContext) Done() <-chan struct{} {
	c.watched++
	return c.Context.Done()
}

// TestDial checks errors of dialling, which leave the body alone but for closing.
func TestDial(t *testing.T) {
	fakeserver.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, tr := range []*Transport{{Address: l.Addr().String()}, {Network: "unix", Address: "/nonexistent"}, {Address: "127.0.0.1:0", MaxConnections: 1}} {
		b := newBody(strings.NewReader("body"))
		r := newRequest(t, "POST", "")
		r.Body, r.ContentLength = b, 4
		_, _, err = roundTripAll(tr, r)
		var op *net.OpError
		if e := failure(t, err); e.Sent || e.Op != "connecting" || !errors.As(err, &op) || op.Op != "dial" {
			t.Errorf("%+v", e)
		}
		if reads, closed := b.state(); reads != 0 || !closed || tr.Active() != 0 || tr.inUse() != 0 {
			t.Errorf("read %d times, closed %t, %d active, %d in use", reads, closed, tr.Active(), tr.inUse())
		}
	}
}

// TestListenQueueFull: a server that is slow to accept is busy, not gone.
func TestListenQueueFull(t *testing.T) {
	fakeserver.NoLeaks(t)
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	tr := &Transport{Network: "unix", Address: path}
	_, _, err = roundTripAll(tr, newRequest(t, "GET", ""))
	if e := failure(t, err); e.Sent || e.Op != "connecting" || !errors.Is(err, roundtrip.ErrListenQueueFull) || !errors.Is(err, roundtrip.ErrBusy) {
		t.Errorf("%+v", e)
	}
}

// TestNoDescriptor: that this process has no descriptor left is no fault of the server.
func TestNoDescriptor(t *testing.T) {
	s := fakeserver.Start(t, fakeserver.TCP(t), func(net.Conn, int) {})
	for _, tr := range []http.RoundTripper{&Transport{Address: s.Address}, &HTTP2{Address: s.Address}} {
		fakeserver.WithoutDescriptors(t, func() {
			_, err := tr.RoundTrip(newRequest(t, "GET", ""))
			if e := failure(t, err); e.Sent || e.Op != "connecting" || !errors.Is(err, roundtrip.ErrBusy) || !errors.Is(err, syscall.EMFILE) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestEarlyResponse responses before a body that never ends. The body is closed, and
// nothing is left of the goroutine that sent it.
func TestEarlyResponse(t *testing.T) {
	for _, length := range []int64{100 << 20, -1} {
		for _, hangs := range []bool{false, true} {
			fakeserver.NoLeaks(t)
			tr, _ := serve(t, func(f *fakeConn) {
				f.readHead()
				f.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\ntext")
				if hangs { // and reads no more
					time.Sleep(100 * time.Millisecond)
					return
				}
				io.Copy(io.Discard, f.br)
			})
			b := newBody(endless{})
			r := newRequest(t, "POST", "")
			r.Body, r.ContentLength = b, length
			within(t, func() {
				resp, text, err := roundTripAll(tr, r)
				if err != nil || resp.StatusCode != 413 || text != "text" {
					t.Errorf("%q, %v", text, err)
				}
			})
			if _, closed := b.state(); !closed || idle(tr) != 0 || tr.Active() != 0 {
				t.Errorf("closed %t, %d idle, %d active", closed, idle(tr), tr.Active())
			}
		}
	}
}

// TestWaitingBody has a body that waits for bytes of the response: both are
// transferred at once.
func TestWaitingBody(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.readHead()
		f.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		line := make([]byte, len("1\r\nx\r\n"))
		for range 3 {
			io.ReadFull(f.br, line)
			f.say(string(line))
		}
		io.ReadFull(f.br, line[:5])
		f.say(string(line[:5]))
		f.br.ReadByte()
	})
	pr, pw := io.Pipe()
	r := newRequest(t, "POST", "")
	r.Body, r.ContentLength = pr, -1
	within(t, func() {
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		p := make([]byte, 1)
		for _, c := range []string{"a", "b", "c"} {
			io.WriteString(pw, c)
			if _, err := resp.Body.Read(p); err != nil || string(p) != c {
				t.Errorf("%q, %v", p, err)
			}
		}
		pw.Close()
		if _, err := resp.Body.Read(p); err != io.EOF {
			t.Error(err)
		}
	})
	if idle(tr) != 1 {
		t.Error("the connection isn't kept")
	}
}

// TestSlowUpload takes longer than the timeout, but goes on.
func TestSlowUpload(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		if _, err := f.read(); err == nil {
			f.say(ok)
			f.br.ReadByte()
		}
	})
	tr.ResponseTimeout = 500 * time.Millisecond
	r := newRequest(t, "POST", "")
	r.Body, r.ContentLength = io.NopCloser(&slowly{n: 10, wait: 80 * time.Millisecond}), -1
	if _, body, err := roundTripAll(tr, r); err != nil || body != "text" {
		t.Error(body, err)
	}
}

// TestStalledUpload has the client pause in the middle of its body for longer
// than the server may take: that isn't the server's fault. How long a body may
// stand still is up to whoever reads it from the client.
func TestStalledUpload(t *testing.T) {
	fakeserver.NoLeaks(t)
	for _, length := range []int64{-1, 1 << 20} {
		tr, _ := serve(t, func(f *fakeConn) { io.Copy(io.Discard, f.br) })
		tr.ResponseTimeout = 500 * time.Millisecond
		pr, pw := io.Pipe()
		go func() {
			io.WriteString(pw, "beginning")
			time.Sleep(tr.ResponseTimeout + roundtrip.Patience + 100*time.Millisecond)
			io.WriteString(pw, "more")
			pw.CloseWithError(os.ErrDeadlineExceeded)
		}()
		r := newRequest(t, "POST", "")
		r.Body, r.ContentLength = pr, length
		within(t, func() {
			_, _, err := roundTripAll(tr, r)
			if e := failure(t, err); !errors.Is(err, roundtrip.ErrBody) || errors.Is(err, roundtrip.ErrTimeout) || !e.Timeout() || !e.Sent {
				t.Errorf("%+v", e)
			}
		})
	}
}

// movable is a context whose deadline can be moved.
type movable struct {
	context.Context
	mu sync.Mutex
	at time.Time
}

func (m *movable) Deadline() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, !m.at.IsZero()
}

func (m *movable) move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = time.Now().Add(d)
}

// TestMovedDeadline has a caller give each part of a response a time of its own.
func TestMovedDeadline(t *testing.T) {
	fakeserver.NoLeaks(t)
	tr, _ := serve(t, func(f *fakeConn) {
		f.read()
		f.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
		for range 5 {
			time.Sleep(150 * time.Millisecond)
			f.say("x")
		}
	})
	ctx := &movable{Context: t.Context()}
	ctx.move(500 * time.Millisecond)
	resp, err := tr.RoundTrip(newRequest(t, "GET", "").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 5 {
		ctx.move(500 * time.Millisecond)
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

type slowly struct {
	n    int
	wait time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	s.n--
	time.Sleep(s.wait)
	return copy(p, "x"), nil
}

// TestExpect checks Expect: 100-continue.
func TestExpect(t *testing.T) {
	fakeserver.NoLeaks(t)
	expect := func(b *body) *http.Request {
		r := newRequest(t, "POST", "")
		r.Header.Set("Expect", "100-continue")
		r.Body, r.ContentLength = b, 4
		return r
	}
	for name, c := range map[string]struct {
		says string // before the body is read
		read bool
		kept int
	}{
		"asked":    {"HTTP/1.1 100 Continue\r\n\r\n", true, 1},
		"not once": {"", true, 1},
		"hinted":   {"HTTP/1.1 103 x\r\n\r\n", true, 1},
		"refused":  {"HTTP/1.1 417 x\r\nContent-Length: 4\r\n\r\ntext", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _ := serve(t, func(f *fakeConn) {
				f.readHead()
				f.say(c.says)
				if c.read {
					p := make([]byte, 4)
					if io.ReadFull(f.br, p); string(p) != "body" {
						t.Errorf("body %q", p)
					}
					f.say(ok)
				}
				f.br.ReadByte()
			})
			b := newBody(strings.NewReader("body"))
			if _, text, err := roundTripAll(tr, expect(b)); err != nil || text != "text" {
				t.Error(text, err)
			}
			if reads, closed := b.state(); reads > 0 != c.read || !closed || idle(tr) != c.kept {
				t.Errorf("read %d times, closed %t, %d idle", reads, closed, idle(tr))
			}
		})
	}
}

// TestServerThatDoesNotRead fills all buffers from both sides: the response is
// read though the request isn't.
func TestServerThatDoesNotRead(t *testing.T) {
	fakeserver.NoLeaks(t)
	large := strings.Repeat("x", 8<<20)
	tr, _ := serveUnix(t, func(f *fakeConn) {
		f.Conn.(*net.UnixConn).SetReadBuffer(1)
		f.say("HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n", large)
	})
	r := newRequest(t, "POST", strings.Repeat("y", smallBody))
	r.Header.Set("A", strings.Repeat("z", 1<<20)) // so that head and body fit into no buffer
	within(t, func() {
		if _, body, err := roundTripAll(tr, r); err != nil || body != large {
			t.Error(len(body), err)
		}
	})
	if idle(tr) != 0 {
		t.Error("the connection is kept")
	}
}

// lateBody is a body for which the client takes longer than the server may.
type lateBody struct {
	*strings.Reader
	ctx *movable
}

func (c *lateBody) Read(p []byte) (int, error) {
	if c.Size() == int64(c.Len()) {
		c.ctx.move(time.Hour)
		time.Sleep(700 * time.Millisecond)
	}
	return c.Reader.Read(p)
}

func (c *lateBody) Close() error { return nil }

// TestDeadlineMovedByTheBody: a deadline that is moved while the body of a request is awaited is
// the one that counts, whether the body is sent with the head or after it.
func TestDeadlineMovedByTheBody(t *testing.T) {
	for _, length := range []int64{4, -1} {
		tr, _ := serve(t, func(f *fakeConn) {
			f.read()
			f.say("HTTP/1.1 204 No Content\r\n\r\n")
		})
		ctx := &movable{Context: t.Context()}
		ctx.move(500 * time.Millisecond)
		r := newRequest(t, "POST", "").WithContext(ctx)
		r.Body, r.ContentLength = &lateBody{strings.NewReader("body"), ctx}, length
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Errorf("length %d: %v", length, err)
			continue
		}
		resp.Body.Close()
	}
}
