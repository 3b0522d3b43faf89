package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mkd/proxy/roundtrip"
)

// HTTP2 is an http.RoundTripper to one HTTP/2 server, whatever the host of a request's
// URL. Requests share connections. It is made for gRPC: the body of a request is sent
// while that of the response is read, each part as it comes, and trailers come after
// it. Its fields must not change once it is used, and it must not be copied.
//
// It speaks HTTP/2 by net/http's ClientConn. Each request is sent once. If the server
// announces that it didn't handle it (RFC 9113, section 8.7), the error is ErrUnhandled.
type HTTP2 struct {
	Address string // HOST:PORT

	// TLS is the configuration for TLS, by which the server must choose h2. nil: there
	// is no TLS, and the server has to know that the client speaks HTTP/2 (h2c).
	TLS *tls.Config

	// Resolve and Lookup are those of Transport. If an address is gone, requests that
	// come are sent on new connections.
	Resolve time.Duration
	Lookup  func(ctx context.Context, host string) ([]string, error)

	// The timeouts are those of Transport. ResponseTimeout and ReadTimeout begin anew when
	// the server takes a part of the request's body, and don't run while one is awaited.
	DialTimeout     time.Duration
	ResponseTimeout time.Duration
	ReadTimeout     time.Duration
	IdleTimeout     time.Duration // of a connection without requests

	active atomic.Int64
	once   sync.Once
	names  *names // nil: Address is taken as it is
	conns  http2Conns
}

// Times of pings, by which a connection is found dead.
const (
	pingAfter   = 15 * time.Second // without a byte from the server
	pingTimeout = 15 * time.Second
)

// maxUnread is how many bytes of a response a server may send before they are read. A client
// that takes nothing keeps so many of each of its responses in memory: net/http's own bound
// is 4 MiB.
const maxUnread = 64 << 10

func (t *HTTP2) init() {
	if t.Resolve > 0 {
		t.names = newNames(t.Address, t.Resolve, t.Lookup, t.conns.retire)
	}
	over := t.transport()
	t.conns.dial = func() (*http.ClientConn, error) {
		return over.NewClientConn(context.Background(), t.scheme(), t.Address)
	}
}

func (t *HTTP2) scheme() string {
	if t.TLS == nil {
		return "http"
	}
	return "https"
}

func (t *HTTP2) dial(ctx context.Context) (net.Conn, error) {
	if wait := roundtrip.Timeout(t.DialTimeout, DefaultDialTimeout); wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	if t.names == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	}
	nc, _, _, err := t.names.dial(ctx)
	return nc, err
}

func (t *HTTP2) transport() *http.Transport {
	over := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dial(ctx) },
		TLSHandshakeTimeout:    roundtrip.Timeout(t.DialTimeout, DefaultDialTimeout),
		IdleConnTimeout:        cmp.Or(t.IdleTimeout, DefaultIdleTimeout),
		MaxResponseHeaderBytes: DefaultMaxHeader,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: maxUnread},
	}
	if t.TLS == nil {
		over.Protocols.SetUnencryptedHTTP2(true)
		return over
	}
	over.Protocols.SetHTTP2(true)
	over.TLSClientConfig = t.TLS.Clone()
	over.TLSClientConfig.NextProtos = []string{"h2"}
	over.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
		if s.NegotiatedProtocol != "h2" {
			return errors.New("the server doesn't speak HTTP/2 over TLS")
		}
		return nil
	}
	return over
}

// RoundTrip implements http.RoundTripper.
func (t *HTTP2) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.Do(r, nil, roundtrip.NoEvents)
}

// Active returns the number of requests in flight.
func (t *HTTP2) Active() int { return int(t.active.Load()) }

// CloseIdleConnections closes the connections without requests.
func (t *HTTP2) CloseIdleConnections() {
	t.once.Do(t.init)
	t.conns.closeIdle()
}

// Do is RoundTrip, and calls the events of the request. The header of the response is h,
// whose fields are replaced; nil: a new one. Its errors are of type *roundtrip.Error.
func (t *HTTP2) Do(r *http.Request, h http.Header, e roundtrip.Events) (*http.Response, error) {
	t.once.Do(t.init)
	t.names.refresh(time.Now())
	t.active.Add(1)
	s := &stream{t: t, limit: roundtrip.Timeout(t.ResponseTimeout, DefaultResponseTimeout)}
	s.late = time.AfterFunc(time.Hour, s.overdue)
	s.late.Stop()
	ctx, cancel := context.WithCancelCause(r.Context())
	s.ctx, s.cancel = ctx, cancel
	informs := informer{events: e}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders:         func() { s.wrote.Store(true) },
		GotFirstResponseByte: func() { s.responded.Store(true) },
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			trimValues(http.Header(header))
			return informs.add(status, http.Header(header))
		},
	})
	resp, err := s.send(s.request(ctx, r))
	if refused := informs.end(err != nil); refused != nil && err != nil {
		err = refused
	}
	if err != nil {
		s.end()
		return nil, s.fail("sending the request", err)
	}
	if err := checkHTTP2(resp); err != nil {
		resp.Body.Close()
		s.end()
		return nil, s.fail("reading the header of the response", err)
	}
	if h != nil {
		clear(h)
		maps.Copy(h, resp.Header)
		resp.Header = h
	}
	if resp.Body == http.NoBody {
		s.end()
		return resp, nil
	}
	s.resp, s.body, s.limit = resp, resp.Body, roundtrip.Timeout(t.ReadTimeout, DefaultReadTimeout)
	resp.Body = s
	return resp, nil
}

// stream is a request and its response. It is the response's body.
type stream struct {
	t      *HTTP2
	ctx    context.Context
	cancel context.CancelCauseFunc
	sent   *sentBody // nil: the request has no body
	resp   *http.Response
	body   io.ReadCloser // of the response, as net/http has it
	limit  time.Duration // of a wait for the server; 0: none
	ended  sync.Once

	waits sync.Mutex  // guards late and since
	late  *time.Timer // runs during a wait
	since time.Time   // when the wait began; zero: there is none

	connected, reused bool
	wrote, responded  atomic.Bool
}

// send sends the request on a connection.
func (s *stream) send(r *http.Request) (*http.Response, error) {
	c, reused, err := s.t.conns.take(r.Context())
	if err != nil {
		return nil, err
	}
	s.connected, s.reused = true, reused
	s.startTimer()
	defer s.stopTimer()
	return c.RoundTrip(r)
}

// request returns the request for net/http's Transport.
func (s *stream) request(ctx context.Context, r *http.Request) *http.Request {
	out := r.WithContext(ctx)
	out.Trailer = nil // nobody has looked at its fields; gRPC's requests have none
	u := *r.URL
	u.Scheme, u.Host = s.t.scheme(), s.t.Address
	out.URL, out.Host, out.GetBody, out.RequestURI = &u, cmp.Or(r.Host, r.URL.Host), nil, ""
	// A copy of the values, too: net/http may still be reading them when a request that was
	// cancelled has ended, and their memory is that of the next one.
	out.Header = r.Header.Clone()
	for _, name := range [...]string{"Connection", "Expect", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		delete(out.Header, name)
	}
	out.Header["Te"] = []string{"trailers"} // this side takes them, and gRPC asks for it
	if out.Header["User-Agent"] == nil {
		out.Header["User-Agent"] = []string{""} // not that of net/http
	}
	if r.Body != nil && r.Body != http.NoBody {
		s.sent = &sentBody{body: r.Body, began: time.Now()}
		out.Body = s.sent
	}
	return out
}

// Read reads the body of the response. io.EOF means that it is complete.
func (s *stream) Read(p []byte) (int, error) {
	s.startTimer()
	defer s.stopTimer()
	n, err := s.body.Read(p)
	switch {
	case err == io.EOF:
		cleanTrailer(s.resp.Trailer)
		s.end()
	case err != nil:
		s.end()
		err = s.fail("reading the response", err)
	}
	return n, err
}

// startTimer begins a wait for the server.
func (s *stream) startTimer() {
	s.waits.Lock()
	defer s.waits.Unlock()
	s.since = time.Now()
	s.goOn(s.since)
}

func (s *stream) stopTimer() {
	s.waits.Lock()
	defer s.waits.Unlock()
	s.since = time.Time{}
	s.late.Stop()
}

// overdue ends a wait that takes too long. It is called on a goroutine of its own, on
// which it may come too late: after that wait.
func (s *stream) overdue() {
	s.waits.Lock()
	defer s.waits.Unlock()
	if s.since.IsZero() { // no wait
		return
	}
	s.goOn(time.Now())
}

// goOn sets the timer for the rest of the wait, and ends the stream if there is none. The
// deadline of the context may have been moved since net/http began to wait for its end. The
// caller holds waits.
func (s *stream) goOn(now time.Time) {
	left, cause := time.Duration(math.MaxInt64), roundtrip.ErrTimeout
	if s.limit > 0 {
		from := s.since
		if s.sent != nil {
			from = s.sent.progress(from, now)
		}
		left = from.Add(s.limit).Sub(now)
	}
	if until, ok := s.ctx.Deadline(); ok && until.Sub(now) < left {
		left, cause = until.Sub(now), context.DeadlineExceeded
	}
	if left > 0 {
		s.late.Reset(left)
		return
	}
	s.cancel(cause)
}

// Close ends the stream. If the response isn't complete, the server sees a reset.
func (s *stream) Close() error {
	s.cancel(roundtrip.ErrClosed)
	err := s.body.Close()
	s.end()
	return err
}

// end gives back what the stream has. The request's body isn't read any more.
func (s *stream) end() {
	s.ended.Do(func() {
		if s.sent != nil {
			s.sent.finish()
		}
		s.t.active.Add(-1)
		s.cancel(roundtrip.ErrClosed)
	})
}

// fail returns the error of a step.
func (s *stream) fail(op string, err error) error {
	if cause := context.Cause(s.ctx); cause != nil && cause != roundtrip.ErrClosed {
		err = cause
	} else if s.sent != nil {
		if failed, _ := s.sent.err.Load().(error); failed != nil {
			err = fmt.Errorf("%w: %w", roundtrip.ErrBody, failed)
		}
	}
	sent, text := s.wrote.Load(), err.Error()
	switch {
	case !s.connected:
		op, err = "connecting", roundtrip.DialError(err)
	case strings.Contains(text, longHeader):
		err = fmt.Errorf("%w: %w", roundtrip.ErrLongHeader, err)
	case strings.HasPrefix(text, unusable), strings.HasPrefix(text, goneAway), strings.HasPrefix(text, goneAwayAtFirst):
		sent, err = false, fmt.Errorf("%w: %w", roundtrip.ErrRetired, err)
	case isRefused(err):
		sent, err = false, fmt.Errorf("%w: %w", roundtrip.ErrUnhandled, err)
	}
	return &roundtrip.Error{Protocol: "HTTP/2", Address: s.t.Address, Op: op, Sent: sent, Responded: s.responded.Load(), Reused: s.reused, Err: err}
}

// Texts of errors that net/http doesn't export.
const (
	// longHeader is that of a header that is longer than the server has announced that it
	// takes. Nothing was sent.
	longHeader = "request header list larger than peer's advertised limit"
	// unusable is that of a connection that has ended since it was taken, or has got a
	// GOAWAY. Nothing was sent.
	unusable = "http2: client conn not usable"
	// These are of a GOAWAY whose last stream is one before the request's. There are others
	// for a request that the server may have handled.
	goneAway        = "http2: Transport received Server's graceful shutdown GOAWAY"
	goneAwayAtFirst = "http2: Transport received GOAWAY from server"
)

// streamError is net/http's error for a stream that was reset, as errors.As finds it.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream error %d", e.Code) }

// refusedStream is the code of a stream that the server didn't handle (RFC 9113, section 7).
const refusedStream = 0x7

func isRefused(err error) bool {
	var e streamError
	return errors.As(err, &e) && e.Code == refusedStream
}

// sentBody is the body of a request. After finish nothing reads it.
type sentBody struct {
	body    io.ReadCloser
	began   time.Time
	reading atomic.Bool  // a Read waits
	last    atomic.Int64 // when a Read ended last, in ns since began
	err     atomic.Value // why a Read failed

	mu     sync.Mutex // held by Read
	closed atomic.Bool
}

// progress returns when the wait for the server began that began at since: anew with each
// part of the body. While the body is read, the client is awaited, and not the server.
func (b *sentBody) progress(since, now time.Time) time.Time {
	if b.reading.Load() {
		return now
	}
	if last := b.began.Add(time.Duration(b.last.Load())); last.After(since) {
		return last
	}
	return since
}

// Read implements io.Reader. net/http reads the next part when the server has taken the
// last one: so parts are short, and even a slow server makes progress.
func (b *sentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.reading.Store(true)
	defer b.reading.Store(false)
	n, err := b.body.Read(p[:min(len(p), partSize)])
	b.last.Store(int64(time.Since(b.began)))
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.err.CompareAndSwap(nil, &readError{err})
	}
	return n, err
}

// readError has one type for all errors, as atomic.Value needs it.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

// Close makes a Read in flight return.
func (b *sentBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	return b.body.Close()
}

// finish closes the body, and waits for a Read in flight.
func (b *sentBody) finish() {
	b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
}
