package balance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mkd/proxy/roundtrip"
)

type transport func(r *http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// faultError is an error of a transport, made of what it means.
type faultError struct {
	failure
	timeout bool
}

func (f *faultError) Error() string { return "it failed" }
func (f *faultError) Timeout() bool { return f.timeout }

// Unwrap returns what a client package reports.
func (f *faultError) Unwrap() error {
	e := &roundtrip.Error{Sent: f.sent, Responded: f.responded, Reused: f.stale, Err: errors.New("a reason")}
	switch {
	case f.stale:
		e.Err = io.ErrUnexpectedEOF
	case f.blame == blameNobody:
		e.Err = roundtrip.ErrBusy
	case f.blame == blameRequest:
		e.Err = roundtrip.ErrRequest
	}
	return e
}

// stream is a body that counts how it is used.
type stream struct {
	io.Reader
	closed int
}

func (s *stream) Read(p []byte) (int, error) {
	if s.closed > 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	return s.Reader.Read(p)
}

func (s *stream) Close() error { s.closed++; return nil }

// TestRetries goes through methods, bodies and failures.
func TestRetries(t *testing.T) {
	unsent, sent := &faultError{}, &faultError{failure: failure{sent: true}}
	for _, c := range []struct {
		name, method, body string // body: "", get (GetBody), stream, long, unknown
		reads              bool   // the transport reads the body before it fails
		err                *faultError
		again              bool
	}{
		{"unsent GET", "GET", "", false, unsent, true},
		{"unsent POST", "POST", "", false, unsent, true},
		{"unsent POST that can be had again", "POST", "get", true, unsent, true},
		{"unsent POST, untouched", "POST", "stream", false, unsent, true},
		{"unsent POST, touched", "POST", "stream", true, unsent, true},
		{"unsent POST, long and touched", "POST", "long", true, unsent, false},
		{"unsent POST, of unknown length and touched", "POST", "unknown", true, unsent, false},
		{"unsent POST, of unknown length and untouched", "POST", "unknown", false, unsent, true},
		{"unsent, timeout", "POST", "", false, &faultError{timeout: true}, true},
		{"queue full", "POST", "stream", false, &faultError{failure: failure{blame: blameNobody}}, true},
		{"wrong request", "GET", "", false, &faultError{failure: failure{blame: blameRequest}}, false},
		{"sent GET", "GET", "", false, sent, true},
		{"sent, no method", "", "", false, sent, true},
		{"sent HEAD", "HEAD", "", false, sent, true},
		{"sent OPTIONS", "OPTIONS", "", false, sent, true},
		{"sent TRACE", "TRACE", "", false, sent, true},
		{"sent DELETE", "DELETE", "", false, sent, true},
		{"sent PUT", "PUT", "get", true, sent, true},
		{"sent PUT, short", "PUT", "stream", true, sent, true},
		{"sent PUT, untouched", "PUT", "long", false, sent, true},
		{"sent PUT, long", "PUT", "long", true, sent, false},
		{"sent POST, short", "POST", "stream", true, sent, false},
		{"sent POST", "POST", "", false, sent, false},
		{"sent POST that can be had again", "POST", "get", true, sent, false},
		{"sent PATCH", "PATCH", "", false, sent, false},
		{"sent, unknown method", "FOO", "", false, sent, false},
		{"sent, lower case", "get", "", false, sent, false},
		{"sent, stale", "POST", "", false, &faultError{failure: failure{sent: true, stale: true}}, false},
		{"responded GET", "GET", "", false, &faultError{failure: failure{sent: true, responded: true}}, false},
		{"responded, unsent", "GET", "", false, &faultError{failure: failure{responded: true}}, false},
		{"sent GET, timeout", "GET", "", false, &faultError{failure: failure{sent: true}, timeout: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "body"
			if c.body == "long" {
				text = strings.Repeat("x", maxRecorded+1)
			}
			body := &stream{Reader: strings.NewReader(text)}
			r, err := http.NewRequest(c.method, "http://example.org/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Method = c.method
			copies := 0
			if c.body != "" {
				r.Body, r.ContentLength = body, int64(len(text))
			}
			if c.body == "unknown" {
				r.ContentLength = -1
			}
			if c.body == "get" {
				r.GetBody = func() (io.ReadCloser, error) {
					copies++
					return io.NopCloser(strings.NewReader("body")), nil
				}
			}
			tries, retries := 0, 0
			tr := transport(func(got *http.Request) (*http.Response, error) {
				tries++
				if c.body == "" && got != r {
					t.Error("the request was copied")
				}
				if got.Body != nil {
					defer got.Body.Close()
				}
				if tries == 1 {
					if c.reads {
						io.ReadAll(got.Body)
					}
					return nil, c.err
				}
				if c.body != "" {
					if p, err := io.ReadAll(got.Body); string(p) != text {
						t.Errorf("body %q, %v", p, err)
					}
				}
				return &http.Response{Body: http.NoBody, Request: got}, nil
			})
			b := &Balancer{Retrying: func(got *http.Request, u *Upstream, err error) {
				if retries++; got != r || u.Name != "a" || err != c.err {
					t.Errorf("%s, %v", u.Name, err)
				}
			}}
			var picked strings.Builder
			for _, u := range named(1, 1, 1) {
				u.Transport = tr
				b.Upstreams = append(b.Upstreams, u)
			}
			resp, err := b.Do(r, func(u *Upstream, r *http.Request) (*http.Response, error) {
				picked.WriteString(u.Name)
				return u.Transport.RoundTrip(r)
			})
			var unreachable *UnreachableError
			switch {
			case c.again && (err != nil || tries != 2 || retries != 1 || picked.String() != "ab" || resp.Request != r):
				t.Errorf("%d tries, %d retries, %s, %v", tries, retries, picked.String(), err)
			case !c.again && (!errors.Is(err, c.err) || tries != 1 || retries != 0):
				t.Errorf("%d tries, %d retries, %v", tries, retries, err)
			case !c.again && errors.As(err, &unreachable) != (c.err == unsent):
				t.Errorf("%T", err)
			}
			if c.body != "" && body.closed != 1 {
				t.Errorf("closed %d times", body.closed)
			}
			if st := b.Status()[0]; st.Active != 0 || st.Retried != uint64(retries) {
				t.Errorf("%d active, %d retried", st.Active, st.Retried)
			}
		})
	}
}

// failing makes a Balancer of upstreams that fail n times each, then response.
func failingBalancer(err error, upstreams, n int) (*Balancer, *int) {
	tries := new(int)
	b := &Balancer{}
	for _, u := range named(make([]int, upstreams)...) {
		left := n
		u.Transport = transport(func(r *http.Request) (*http.Response, error) {
			*tries++
			if r.Body != nil {
				r.Body.Close()
			}
			if left--; left >= 0 {
				return nil, err
			}
			return &http.Response{Body: http.NoBody}, nil
		})
		b.Upstreams = append(b.Upstreams, u)
	}
	return b, tries
}

func get(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://example.org/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEachOnce tries each upstream once, and reports then that none was reached.
func TestEachOnce(t *testing.T) {
	b, tries := failingBalancer(&faultError{}, 3, 9)
	body := &stream{Reader: strings.NewReader("body")}
	r := get(t)
	r.Method, r.Body, r.ContentLength = "POST", body, 4
	_, err := b.RoundTrip(r)
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || *tries != 3 || body.closed != 1 {
		t.Errorf("%d tries, closed %d times, %v", *tries, body.closed, err)
	}
	// One of them had got it: it isn't known to be unreachable.
	b, tries = failingBalancer(&faultError{}, 2, 9)
	b.Upstreams[0].Transport = transport(func(*http.Request) (*http.Response, error) {
		return nil, &faultError{failure: failure{sent: true}}
	})
	if _, err := b.RoundTrip(get(t)); errors.As(err, &unreachable) || *tries != 1 {
		t.Errorf("%d tries, %v", *tries, err)
	}
}

// TestStale tries a lone upstream again after a stale connection, once.
func TestStale(t *testing.T) {
	stale := &faultError{failure: failure{sent: true, stale: true}}
	for _, c := range []struct{ n, tries int }{{1, 2}, {2, 2}} {
		b, tries := failingBalancer(stale, 1, c.n)
		_, err := b.RoundTrip(get(t))
		if *tries != c.tries || (err == nil) != (c.n == 1) {
			t.Errorf("%d tries, %v", *tries, err)
		}
		if s := b.Status()[0]; !s.Up || s.Recent != 0 {
			t.Errorf("%+v", s)
		}
	}
	b, tries := failingBalancer(stale, 2, 9)
	if _, err := b.RoundTrip(get(t)); *tries != 3 || err == nil {
		t.Errorf("%d tries, %v", *tries, err)
	}
	b, tries = failingBalancer(&faultError{failure: failure{sent: true}}, 1, 1)
	if _, err := b.RoundTrip(get(t)); *tries != 1 || err == nil {
		t.Errorf("not stale: %d tries, %v", *tries, err)
	}
}

// TestEndedContext doesn't repeat for nobody, and blames nobody.
func TestEndedContext(t *testing.T) {
	b, tries := failingBalancer(&faultError{}, 2, 9)
	ctx, cancel := context.WithCancel(t.Context())
	first := b.Upstreams[0].Transport
	b.Upstreams[0].Transport = transport(func(r *http.Request) (*http.Response, error) {
		cancel()
		return first.RoundTrip(r)
	})
	_, err := b.RoundTrip(get(t).WithContext(ctx))
	var unreachable *UnreachableError
	if *tries != 1 || errors.As(err, &unreachable) || b.Status()[0].Recent != 0 {
		t.Errorf("%d tries, %v, %+v", *tries, err, b.Status()[0])
	}
}

// TestNoGetBody fails to get the body again.
func TestNoGetBody(t *testing.T) {
	b, tries := failingBalancer(&faultError{}, 2, 9)
	r := get(t)
	r.Body = &stream{Reader: strings.NewReader("body")}
	r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
	if _, err := b.RoundTrip(r); *tries != 1 || err == nil {
		t.Errorf("%d tries, %v", *tries, err)
	}
}

// TestPartlyRead: an upstream reads a part of the body before it fails. The
// next one gets all of it, in whatever pieces.
func TestPartlyRead(t *testing.T) {
	for n := range 5 {
		tries := 0
		tr := transport(func(r *http.Request) (*http.Response, error) {
			defer r.Body.Close()
			if tries++; tries < 3 {
				io.ReadFull(r.Body, make([]byte, n))
				return nil, &faultError{}
			}
			if p, err := io.ReadAll(iotest.OneByteReader(r.Body)); string(p) != "body" || err != nil {
				t.Errorf("%q, %v", p, err)
			}
			return &http.Response{Body: http.NoBody}, nil
		})
		b := &Balancer{}
		for _, u := range named(1, 1, 1) {
			u.Transport = tr
			b.Upstreams = append(b.Upstreams, u)
		}
		body := &stream{Reader: strings.NewReader("body")}
		r := get(t)
		r.Method, r.Body, r.ContentLength = "POST", body, 4
		if _, err := b.RoundTrip(r); err != nil || tries != 3 || body.closed != 1 {
			t.Errorf("%d: %d tries, closed %d times, %v", n, tries, body.closed, err)
		}
	}
}

// TestCloseWhileReading closes a body that is being read, since Read waits for it.
func TestCloseWhileReading(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	b := &Balancer{Upstreams: named(1, 1)}
	for _, u := range b.Upstreams {
		u.Transport = transport(func(r *http.Request) (*http.Response, error) {
			began, read := make(chan bool), make(chan error)
			go func() {
				close(began)
				_, err := r.Body.Read(make([]byte, 1))
				read <- err
			}()
			<-began
			r.Body.Close() // before or while it is read
			if err := <-read; err == nil {
				t.Error("it was read")
			}
			return nil, &faultError{}
		})
	}
	r := get(t)
	r.Method, r.Body, r.ContentLength = "POST", pr, 4
	if _, err := b.RoundTrip(r); err == nil {
		t.Error("no error")
	}
	if _, err := pw.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Errorf("the body is open: %v", err)
	}
}

// TestReadInFlight: while a try that failed still reads the body, nobody else gets it.
func TestReadInFlight(t *testing.T) {
	pr, pw := io.Pipe()
	b := &Balancer{Upstreams: named(1, 1)}
	began, read := make(chan bool), make(chan bool)
	tries := 0
	for _, u := range b.Upstreams {
		u.Transport = transport(func(r *http.Request) (*http.Response, error) {
			tries++
			go func() {
				defer close(read)
				for range 2 {
					r.Body.Read(make([]byte, 1))
					began <- true
				}
			}()
			pw.Write([]byte("x"))
			<-began
			for !r.Body.(*bodyView).b.isReading() {
				runtime.Gosched()
			}
			return nil, &faultError{}
		})
	}
	r := get(t)
	r.Method, r.Body, r.ContentLength = "POST", pr, 4
	if _, err := b.RoundTrip(r); err == nil || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
	<-began // the Read has ended, since the body is closed
	<-read
}

func (b *body) isReading() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reading
}

// TestEarlierTry: an upstream that failed reads no more of the body, which is another's.
func TestEarlierTry(t *testing.T) {
	var first io.ReadCloser
	b := &Balancer{Upstreams: named(1, 1)}
	for _, u := range b.Upstreams {
		u.Transport = transport(func(r *http.Request) (*http.Response, error) {
			if first == nil {
				first = r.Body
				return nil, &faultError{}
			}
			if n, err := first.Read(make([]byte, 4)); n > 0 || err != http.ErrBodyReadAfterClose {
				t.Errorf("the first one read %d bytes, %v", n, err)
			}
			first.Close()
			if p, err := io.ReadAll(r.Body); string(p) != "body" {
				t.Errorf("the second one read %q, %v", p, err)
			}
			r.Body.Close()
			return &http.Response{Body: http.NoBody}, nil
		})
	}
	body := &stream{Reader: strings.NewReader("body")}
	r := get(t)
	r.Method, r.Body, r.ContentLength = "POST", body, 4
	if _, err := b.RoundTrip(r); err != nil || body.closed != 1 {
		t.Errorf("closed %d times, %v", body.closed, err)
	}
}

// TestBodyAfterTheResponse: an upstream that has responded may go on reading the body.
func TestBodyAfterTheResponse(t *testing.T) {
	var sent io.ReadCloser
	b := &Balancer{Upstreams: []*Upstream{{Transport: transport(func(r *http.Request) (*http.Response, error) {
		sent = r.Body
		io.ReadFull(sent, make([]byte, 2))
		return &http.Response{Body: http.NoBody}, nil
	})}}}
	body := &stream{Reader: strings.NewReader("body")}
	r := get(t)
	r.Body, r.ContentLength = body, -1
	if _, err := b.RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	if p, err := io.ReadAll(sent); string(p) != "dy" || body.closed != 0 {
		t.Errorf("%q, closed %d times, %v", p, body.closed, err)
	}
	for range 3 {
		sent.Close()
	}
	if body.closed != 1 {
		t.Errorf("closed %d times", body.closed)
	}
}

// TestForeignErrors: of the errors of other packages only that of a dial shows that nothing
// was sent, so that a POST is repeated.
func TestForeignErrors(t *testing.T) {
	for _, c := range []struct {
		err   error
		tries int
	}{
		{&net.OpError{Op: "dial", Err: io.EOF}, 2},
		{&net.OpError{Op: "read", Err: io.EOF}, 1},
		{&net.OpError{Op: "write", Err: io.EOF}, 1},
		{io.EOF, 1},
	} {
		b, tries := failingBalancer(c.err, 2, 9)
		r := get(t)
		r.Method = "POST"
		if _, err := b.RoundTrip(r); !errors.Is(err, c.err) || *tries != c.tries {
			t.Errorf("%v: %d tries, %v", c.err, *tries, err)
		}
	}
}

// idleTransport counts the times when its idle connections were closed.
type idleTransport struct {
	transport
	closed int
}

func (i *idleTransport) CloseIdleConnections() { i.closed++ }

// TestIdleConnections: those of an upstream are closed before a request is repeated there.
func TestIdleConnections(t *testing.T) {
	tries := 0
	idle := &idleTransport{}
	idle.transport = func(*http.Request) (*http.Response, error) {
		if tries++; idle.closed == 0 {
			return nil, &faultError{failure: failure{sent: true, stale: true}}
		}
		return &http.Response{Body: http.NoBody}, nil
	}
	b := &Balancer{Upstreams: []*Upstream{{Transport: idle}}}
	if _, err := b.RoundTrip(get(t)); err != nil || tries != 2 || idle.closed != 1 {
		t.Errorf("%d tries, closed %d times, %v", tries, idle.closed, err)
	}
}

// TestHeldBody closes a body that an upstream didn't want, though it responded.
func TestHeldBody(t *testing.T) {
	for _, late := range []bool{false, true} {
		body := &stream{Reader: strings.NewReader("body")}
		var sent io.ReadCloser
		b := &Balancer{Upstreams: []*Upstream{{Transport: transport(func(r *http.Request) (*http.Response, error) {
			if sent = r.Body; !late {
				r.Body.Close()
			}
			return &http.Response{Body: http.NoBody}, nil
		})}}}
		r := get(t)
		r.Body = body
		if _, err := b.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
		if late {
			sent.Close()
		}
		if body.closed != 1 {
			t.Errorf("late %t: closed %d times", late, body.closed)
		}
		if _, err := sent.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Error(err)
		}
	}
}

// TestCounting counts a response as in flight until it ends.
func TestCounting(t *testing.T) {
	type both struct {
		io.Reader
		io.Writer
		io.Closer
	}
	var counted *Balancer
	for name, c := range map[string]struct {
		body io.ReadCloser
		end  func(io.ReadCloser)
	}{
		"read to its end": {io.NopCloser(strings.NewReader("body")), func(b io.ReadCloser) { io.ReadAll(b); io.ReadAll(b) }},
		"closed":          {io.NopCloser(strings.NewReader("body")), func(b io.ReadCloser) { b.Close(); b.Close() }},
		"both":            {io.NopCloser(strings.NewReader("body")), func(b io.ReadCloser) { io.ReadAll(b); b.Close() }},
		"read in part": {io.NopCloser(strings.NewReader("body")), func(b io.ReadCloser) {
			if b.Read(make([]byte, 1)); counted.Status()[0].Active != 1 {
				t.Error("a part counts as the end")
			}
			b.Close()
		}},
		"another protocol": {both{strings.NewReader(""), io.Discard, io.NopCloser(nil)}, func(b io.ReadCloser) {
			b.(io.Writer).Write(nil)
			if err := b.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
				t.Error(err)
			}
			b.Close()
			b.Close()
		}},
		"none":       {http.NoBody, nil},
		"not even a": {nil, nil},
	} {
		b := &Balancer{Upstreams: []*Upstream{{Transport: transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{Body: c.body}, nil
		})}}}
		counted = b
		resp, err := b.RoundTrip(get(t))
		if c.end == nil {
			c.end = func(io.ReadCloser) {}
		} else if b.Status()[0].Active != 1 {
			t.Errorf("%s: %d active", name, b.Status()[0].Active)
		}
		if s := b.Status()[0]; err != nil || s.Requests != 1 {
			t.Errorf("%s: %d requests, %v", name, s.Requests, err)
		}
		if c.end(resp.Body); b.Status()[0].Active != 0 {
			t.Errorf("%s: %d active", name, b.Status()[0].Active)
		}
	}
}

// halfClosed is a connection of which one direction can be closed.
type halfClosed struct {
	io.ReadWriteCloser
	err error
}

func (h *halfClosed) CloseWrite() error { return h.err }

// TestCountingHalfClosed: a connection that is counted can close one direction, as before.
func TestCountingHalfClosed(t *testing.T) {
	for _, want := range []error{nil, io.ErrClosedPipe} {
		b := &Balancer{Upstreams: []*Upstream{{Transport: transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{Body: &halfClosed{err: want}}, nil
		})}}}
		resp, err := b.RoundTrip(get(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestNoUpstreams has nothing to try.
func TestNoUpstreams(t *testing.T) {
	body := &stream{Reader: strings.NewReader("body")}
	r := get(t)
	r.Body = body
	_, err := (&Balancer{}).RoundTrip(r)
	var down *DownError
	if !errors.As(err, &down) || down.RetryAfter <= 0 || down.RetryAfter > time.Minute || body.closed != 1 {
		t.Errorf("%v, closed %d times", err, body.closed)
	}
}
