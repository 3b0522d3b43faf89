package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mkd/proxy/roundtrip"
)

// newHTTP2 starts a server of HTTP/2 without TLS, and returns a client of it.
func newHTTP2(t *testing.T, h http.HandlerFunc) *HTTP2 {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	c := &HTTP2{Address: s.Listener.Addr().String()}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func http2Request(t *testing.T, method string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "/a%2Fb?c=d", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "asked.example"
	return r
}

// informed notes informational responses.
type informed struct{ statuses []int }

func (i *informed) Inform(status int, _ http.Header) error {
	i.statuses = append(i.statuses, status)
	return nil
}
func (i *informed) Excess() {}

func TestHTTP2(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Saw", strings.Join([]string{r.Proto, r.Host, r.RequestURI, r.Header.Get("Te"), r.Header.Get("User-Agent"), r.Header.Get("Accept-Encoding"), r.Header.Get("Connection")}, "|"))
		w.Write(body)
		w.Header().Set(http.TrailerPrefix+"X-End", "yes")
	})
	var events informed
	r := http2Request(t, "POST", strings.NewReader("body"))
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "x")
	resp, err := c.Do(r, nil, &events)
	if err != nil {
		t.Fatal(err)
	}
	if c.Active() != 1 {
		t.Errorf("%d are active", c.Active())
	}
	body, err := io.ReadAll(resp.Body)
	if string(body) != "body" || err != nil || resp.Trailer.Get("X-End") != "yes" || len(events.statuses) != 1 {
		t.Errorf("%q, %v, %v, %v", body, err, resp.Trailer, events.statuses)
	}
	if got := resp.Header.Get("X-Saw"); got != "HTTP/2.0|asked.example|/a%2Fb?c=d|trailers|||" {
		t.Errorf("it saw %s", got)
	}
	if r.Header.Get("Upgrade") != "x" || r.Header.Get("Te") != "" {
		t.Errorf("the caller's header changed: %v", r.Header)
	}
	resp.Body.Close()
	if c.Active() != 0 {
		t.Errorf("%d are active", c.Active())
	}
	if resp, err = c.RoundTrip(http2Request(t, "HEAD", nil)); err != nil || resp.StatusCode != 200 {
		t.Fatalf("HEAD: %v, %v", resp, err)
	}
	if resp.Body.Close(); c.Active() != 0 {
		t.Errorf("%d are active", c.Active())
	}
}

// http2Failure returns the *roundtrip.Error that err is.
func http2Failure(t *testing.T, err error) *roundtrip.Error {
	t.Helper()
	var e *roundtrip.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v", err, err)
	}
	return e
}

func TestHTTP2Failures(t *testing.T) {
	release := make(chan bool)
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Do") {
		case "hang":
			<-release
		case "stall":
			io.WriteString(w, "begun")
			http.NewResponseController(w).Flush()
			<-release
		case "break":
			io.WriteString(w, "begun")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			io.Copy(io.Discard, r.Body)
		}
	})
	c.ResponseTimeout, c.ReadTimeout = 200*time.Millisecond, 200*time.Millisecond
	defer close(release)
	do := func(what string, body io.Reader) (*http.Response, error) {
		r := http2Request(t, "POST", body)
		r.Header.Set("X-Do", what)
		return c.RoundTrip(r)
	}
	if _, err := do("hang", nil); err == nil || !http2Failure(t, err).Timeout() || !http2Failure(t, err).Sent {
		t.Errorf("no response: %v", err)
	}
	for what, timeout := range map[string]bool{"stall": true, "break": false} {
		resp, err := do(what, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if string(body) != "begun" || err == nil || http2Failure(t, err).Timeout() != timeout || !http2Failure(t, err).Responded {
			t.Errorf("%s: %q, %v", what, body, err)
		}
		resp.Body.Close()
	}
	mine := errors.New("mine")
	if _, err := do("", io.MultiReader(strings.NewReader("a"), &failingReader{mine})); !errors.Is(err, roundtrip.ErrBody) || !errors.Is(err, mine) {
		t.Errorf("a body that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	r := http2Request(t, "POST", nil).WithContext(ctx)
	r.Header.Set("X-Do", "hang")
	c2 := &HTTP2{Address: c.Address}
	defer c2.CloseIdleConnections()
	if _, err := c2.RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
	if n := c.Active() + c2.Active(); n != 0 {
		t.Errorf("%d are active", n)
	}
}

type failingReader struct{ err error }

func (f *failingReader) Read([]byte) (int, error) { return 0, f.err }

// TestHTTP2AwaitsTheClient: ReadTimeout doesn't run while the server awaits a message.
func TestHTTP2AwaitsTheClient(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		io.Copy(w, r.Body)
	})
	c.ReadTimeout = 300 * time.Millisecond
	body, message := io.Pipe()
	resp, err := c.RoundTrip(http2Request(t, "POST", body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	time.AfterFunc(time.Second, func() {
		io.WriteString(message, "late")
		message.Close()
	})
	if got, err := io.ReadAll(resp.Body); string(got) != "late" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestHTTP2BodyNotTaken: a server that takes no more of a body, and doesn't respond, but
// whose connection is alive, gets no more time than one that is silent after it.
func TestHTTP2BodyNotTaken(t *testing.T) {
	release := make(chan bool)
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	c.ResponseTimeout = 100 * time.Millisecond
	within(t, func() {
		_, err := c.RoundTrip(http2Request(t, "POST", bytes.NewReader(make([]byte, 8<<20))))
		if err == nil || !http2Failure(t, err).Timeout() || !http2Failure(t, err).Sent {
			t.Errorf("%v", err)
		}
	})
}

// TestHTTP2Progress: each part of a body that the server takes gives it more time, and so
// does a wait for the client.
func TestHTTP2Progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Minute
		client, sends := io.Pipe()
		s := &stream{limit: limit, sent: &sentBody{body: client, began: time.Now()}}
		s.ctx, s.cancel = context.WithCancelCause(t.Context())
		defer s.cancel(nil)
		s.late = time.AfterFunc(time.Hour, s.overdue)
		s.late.Stop()
		part := make([]byte, 1<<20)
		go sends.Write(part)
		s.startTimer()
		for range 4 {
			time.Sleep(limit - 1)
			if n, err := s.sent.Read(part); n > partSize || err != nil {
				t.Fatalf("a part of %d bytes, %v", n, err)
			}
		}
		for range 1<<20/partSize - 4 {
			s.sent.Read(part)
		}
		read := make(chan bool)
		go func() { s.sent.Read(part); close(read) }()
		time.Sleep(10 * limit)
		go sends.Write(part)
		<-read
		time.Sleep(limit - 1)
		if err := context.Cause(s.ctx); err != nil {
			t.Fatalf("it ended early: %v", err)
		}
		time.Sleep(limit)
		if err := context.Cause(s.ctx); err != roundtrip.ErrTimeout {
			t.Errorf("without progress: %v", err)
		}
		client.Close()
	})
}

func TestHTTP2Connecting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = (&HTTP2{Address: l.Addr().String()}).RoundTrip(http2Request(t, "GET", nil))
	if e := http2Failure(t, err); e.Sent || e.Op != "connecting" || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%+v", e)
	}
	// A server over TLS that speaks HTTP/1.1 only.
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	_, err = (&HTTP2{Address: s.Listener.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}}).RoundTrip(http2Request(t, "GET", nil))
	if e := http2Failure(t, err); e.Sent || e.Op != "connecting" {
		t.Errorf("%+v", e)
	}
	s = httptest.NewUnstartedServer(http.NotFoundHandler())
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	c := &HTTP2{Address: s.Listener.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}}
	defer c.CloseIdleConnections()
	if resp, err := c.RoundTrip(http2Request(t, "GET", nil)); err != nil || resp.StatusCode != 404 || resp.ProtoMajor != 2 {
		t.Errorf("%v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

// TestHTTP2LeavesTheBody: nothing reads a request's body once the response is over.
func TestHTTP2LeavesTheBody(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "early") })
	for range 50 {
		body := &watchedBody{reads: make(chan bool), closed: make(chan bool)}
		resp, err := c.RoundTrip(http2Request(t, "POST", body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != "early" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		resp.Body.Close()
		select {
		case <-body.closed:
		default:
			t.Fatal("the body isn't closed")
		}
		if body.reading {
			t.Fatal("the body is still read")
		}
	}
}

// watchedBody is a body that never comes. Its fields are for the race detector.
type watchedBody struct {
	reads, closed chan bool
	reading       bool
}

func (b *watchedBody) Read([]byte) (int, error) {
	b.reading = true
	<-b.closed
	b.reading = false
	return 0, io.ErrClosedPipe
}

func (b *watchedBody) Close() error {
	close(b.closed)
	return nil
}

// TestHTTP2Trailers: nobody has looked at the fields after a request's body, so they
// aren't sent.
func TestHTTP2Trailers(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Saw", strconv.Itoa(len(r.Trailer)))
	})
	r := http2Request(t, "POST", strings.NewReader("body"))
	r.ContentLength = -1
	r.Trailer = http.Header{"X-User": {"admin"}}
	var events informed
	resp, err := c.Do(r, nil, &events)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if got := resp.Header.Get("X-Saw"); got != "0" {
		t.Errorf("the server saw %s fields", got)
	}
}

// TestRequestIsACopy: net/http gets nothing of a request whose memory is that of another
// one soon. It may still be reading when a request that was cancelled has ended.
func TestRequestIsACopy(t *testing.T) {
	r := http2Request(t, "GET", nil)
	r.Header["X-A"] = []string{"own"}
	out := (&stream{t: &HTTP2{Address: "127.0.0.1:1"}}).request(t.Context(), r)
	r.Header["X-A"][0] = "of another request"
	r.Header["X-B"] = []string{"of another request"}
	*r.URL = url.URL{Path: "/other"}
	r.Host = "other.example"
	if got := out.Header["X-A"]; len(got) != 1 || got[0] != "own" || out.Header["X-B"] != nil || out.URL.RequestURI() != "/a%2Fb?c=d" || out.Host != "asked.example" {
		t.Errorf("%v %v %v", out.URL, out.Host, out.Header)
	}
}

// TestHeaderTooLong: that a header is longer than the server takes is the client's fault,
// not the server's, and nothing was sent.
func TestHeaderTooLong(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.MaxHeaderBytes = 4 << 10
	s.Start()
	defer s.Close()
	c := &HTTP2{Address: s.Listener.Addr().String()}
	defer c.CloseIdleConnections()
	resp, err := c.RoundTrip(http2Request(t, "GET", nil)) // after it, the limit is known
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r := http2Request(t, "GET", nil)
	r.Header.Set("X-Long", strings.Repeat("x", 8<<10))
	_, err = c.RoundTrip(r)
	var e *roundtrip.Error
	if !errors.As(err, &e) || !errors.Is(err, roundtrip.ErrLongHeader) || e.Sent || e.Responded {
		t.Errorf("%+v", err)
	}
}

// TestLateTimer: the timer of a Read of the response may come when the Read has ended. It
// must neither end the stream nor be set again: the client may take its time then.
func TestLateTimer(t *testing.T) {
	c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for _, reading := range []bool{false, true} {
		resp, err := c.RoundTrip(http2Request(t, "POST", strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, len("begun"))); err != nil {
			t.Fatal(err)
		}
		s := resp.Body.(*stream)
		s.sent.reading.Store(reading)
		s.overdue()
		if err := context.Cause(s.ctx); err != nil {
			t.Errorf("reading is %v: the stream has ended: %v", reading, err)
		}
		if s.late.Stop() {
			t.Errorf("reading is %v: the timer is set", reading)
		}
		// Nor may it end the next Read before its time.
		s.startTimer()
		s.sent.reading.Store(false)
		s.overdue()
		if err := context.Cause(s.ctx); err != nil {
			t.Errorf("reading was %v: the next Read has ended: %v", reading, err)
		}
		s.stopTimer()
		resp.Body.Close()
	}
}

// TestHTTP2LateDeadline: a deadline that the context gets when the response has begun bounds
// its body, also one of which a part comes again and again.
func TestHTTP2LateDeadline(t *testing.T) {
	for _, limit := range []time.Duration{-1, time.Minute} {
		c := newHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "part")
				http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		})
		c.ReadTimeout = limit
		client, leave := context.WithTimeout(t.Context(), 20*time.Second)
		defer leave()
		ctx := &movable{Context: context.WithoutCancel(client)}
		r := http2Request(t, "GET", nil).WithContext(ctx)
		resp, err := c.Do(r, nil, roundtrip.NoEvents)
		if err != nil {
			t.Fatal(err)
		}
		ctx.move(50 * time.Millisecond)
		for err == nil && client.Err() == nil {
			_, err = resp.Body.Read(make([]byte, 100))
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("limit %v: %v", limit, err)
		}
		resp.Body.Close()
	}
}
