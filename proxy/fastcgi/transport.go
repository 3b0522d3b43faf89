package fastcgi

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Defaults of the fields of a Transport that are zero.
const (
	DefaultDialTimeout     = 5 * time.Second
	DefaultResponseTimeout = 60 * time.Second
	DefaultReadTimeout     = 60 * time.Second
	DefaultIdleTimeout     = 2 * time.Second
	DefaultMaxHeader       = 64 << 10 // bytes
)

// Transport is an http.RoundTripper to one FastCGI server. It is safe for use
// by several goroutines; its fields must not change once it is used, and it
// must not be copied.
//
// A request needs a ContentLength. A body of up to 32 KiB is read before the
// server is dialled; a longer one is read while it is sent, so it should be at
// hand: should it fail, PHP runs the script with what it got. Read of a
// request's body has to return once the body is closed.
//
// A request is sent once, but for one case: a kept connection turns out to be
// closed, no byte of an answer came, and either nothing was sent or the method
// is idempotent (RFC 9110, section 9.2.2). It is then sent again on a new
// connection, if its body can be had again: because it is short, or from
// Request.GetBody. Other requests get a kept connection only if it has been
// idle for 50 ms, by when the server would have closed it.
//
// The status of the answer is that of the Status field (RFC 3875, section
// 6.3.3); without one it is 302 if there is a Location, else 200. A Location
// that is a mere path goes to the client, too; it isn't followed here. Fields
// that concern a connection only are left to whoever forwards the answer, and
// so is a 1xx status, which can't be the last word to a client. An answer that
// has come in whole with its header, as short ones do, has its ContentLength even
// if the script didn't tell it.
type Transport struct {
	Network string // tcp or unix; default: tcp
	Address string // HOST:PORT, or the socket's path

	// Params appends the parameters of a request to dst, in the order in which
	// they are sent. Script.AppendParams does most of it. An error ends the
	// request before the server is dialled.
	Params func(dst []Param, r *http.Request) ([]Param, error)

	DialTimeout time.Duration // less than 0: none
	// ResponseTimeout bounds the wait for the answer's header, and ReadTimeout
	// each Read of the answer's body. Both run anew when the server takes a part
	// of a body that is longer than 32 KiB. Less than 0: none.
	ResponseTimeout time.Duration
	ReadTimeout     time.Duration

	// KeepAlive is the number of idle connections that are kept. Each occupies a
	// worker of PHP-FPM, so there must be fewer than pm.max_children, counted
	// over all that use the server. 0: none, and the server is told so.
	KeepAlive   int
	IdleTimeout time.Duration // after which an idle connection is closed

	MaxHeader int // bytes of the answer's header

	// Stderr gets what the script writes to its error output, line by line
	// without the line's end. It may hold any byte. A line longer than 4 KiB
	// comes in pieces, and of what comes after 256 KiB of one request it is only
	// told that it was left out. It is called by RoundTrip and by Read and Close
	// of the body. Default: nothing.
	Stderr func(r *http.Request, line string)

	// Excess is called once for a response that has more bytes than its
	// Content-Length. They are dropped, and its connection isn't used again. A
	// response with fewer is cut: io.ErrUnexpectedEOF. It is called by Read of the
	// body. Default: nothing.
	Excess func(r *http.Request)

	mu   sync.Mutex
	idle []*conn // the one used last is the last

	buffers sync.Pool // of *[]byte, for requests
	params  sync.Pool // of *[]Param
	readers sync.Pool // of *bufio.Reader
}

// Sizes of buffers, in bytes.
const (
	smallBody    = 32 << 10  // a body up to here is sent together with its parameters
	requestSize  = 8 << 10   // a new buffer for a request
	maxKeptSize  = 128 << 10 // a buffer above isn't used again
	readerSize   = 16 << 10
	chunkContent = 64<<10 - headerSize // a part of a longer body: the record has 64 KiB
)

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	q, err := t.newRequest(r)
	if err != nil {
		return nil, err
	}
	for fresh := false; ; fresh = true {
		c, reused, err := t.connect(q, fresh)
		if err != nil {
			q.closeBody()
			q.release()
			return nil, t.fail(&Error{Op: "connecting", Err: err})
		}
		e := newExchange(t, q, c)
		resp, err := e.roundTrip()
		if err == nil {
			if e.done == nil {
				q.release() // else the exchange does, once it is written
			}
			return resp, nil
		}
		if !reused || !q.rewind(err) {
			q.release()
			return nil, err
		}
	}
}

// CloseIdleConnections closes the connections that are kept and not in use.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// fail completes an error.
func (t *Transport) fail(e *Error) error {
	e.Address = t.Address
	return e
}

// limit returns a timeout, or 0 for none.
func limit(configured, standard time.Duration) time.Duration {
	return max(0, cmp.Or(configured, standard))
}

// connect returns a connection, if need be a new one.
func (t *Transport) connect(q *request, fresh bool) (c *conn, reused bool, err error) {
	ctx := q.r.Context()
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	if t.KeepAlive > 0 && !fresh {
		if c := t.kept(q.repeatable()); c != nil {
			return c, true, nil
		}
	}
	nc, err := t.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, false, err
	}
	return newConn(nc), false, nil
}

func (t *Transport) dial(ctx context.Context) (net.Conn, error) {
	network := cmp.Or(t.Network, "tcp")
	if network == "unix" {
		// This can't block: a unix socket takes a connection at once, or refuses
		// it because its queue is full. So it needs no watch over the context.
		conn, err := net.DialUnix(network, nil, &net.UnixAddr{Name: t.Address, Net: network})
		if errors.Is(err, syscall.EAGAIN) {
			err = fmt.Errorf("%w: %w", ErrBusy, err)
		}
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
	dialer := net.Dialer{Timeout: limit(t.DialTimeout, DefaultDialTimeout)}
	return dialer.DialContext(ctx, network, t.Address)
}

// settled is how long a connection has to be idle before it gets a request
// that can't be repeated. A worker that ends does so right after an answer, but
// not at the same moment.
const settled = 50 * time.Millisecond

// kept returns an idle connection that is still open, or nil. A worker of
// PHP-FPM that has served pm.max_requests has closed its own, and yet a write to
// it succeeds; so it is looked at first. For a request that can't be repeated it
// is the one that was idle the longest, or, if that isn't long, none: it is
// closed, so that its worker can take the new one.
func (t *Transport) kept(repeatable bool) *conn {
	for {
		c := t.takeIdle(repeatable)
		if c == nil {
			return nil
		}
		c.expiry.Stop()
		if (repeatable || time.Since(c.since) >= settled) && c.quiet() {
			return c
		}
		c.close()
		if !repeatable {
			return nil
		}
	}
}

// takeIdle returns the connection that was used last, or first; nil: there is none.
func (t *Transport) takeIdle(last bool) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.idle)
	if n == 0 {
		return nil
	}
	i := 0
	if last {
		i = n - 1
	}
	c := t.idle[i]
	t.idle = slices.Delete(t.idle, i, i+1)
	return c
}

// keep makes a connection an idle one, or closes it if there are enough.
func (t *Transport) keep(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) >= t.KeepAlive {
		c.close()
		return
	}
	c.since = time.Now()
	t.idle = append(t.idle, c)
	wait := cmp.Or(t.IdleTimeout, DefaultIdleTimeout)
	if c.expiry == nil {
		c.expiry = time.AfterFunc(wait, func() { t.expire(c) })
	} else {
		c.expiry.Reset(wait)
	}
}

// expire closes a connection if it is idle.
func (t *Transport) expire(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.idle, c); i >= 0 {
		t.idle = slices.Delete(t.idle, i, i+1)
		c.close()
	}
}

// getBuffer returns an empty buffer.
func (t *Transport) getBuffer() *[]byte {
	if b, ok := t.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, requestSize)
	return &b
}

func (t *Transport) putBuffer(b *[]byte) {
	if cap(*b) <= maxKeptSize {
		*b = (*b)[:0]
		t.buffers.Put(b)
	}
}

func (t *Transport) getReader() *bufio.Reader {
	if br, ok := t.readers.Get().(*bufio.Reader); ok {
		return br
	}
	return bufio.NewReaderSize(nil, readerSize)
}

func (t *Transport) putReader(br *bufio.Reader) {
	br.Reset(nil)
	t.readers.Put(br)
}

// appendRequestParams appends the PARAMS records of a request to dst.
func (t *Transport) appendRequestParams(dst []byte, r *http.Request, length int64) ([]byte, error) {
	if t.Params == nil {
		return dst, errors.New("the Transport has no Params")
	}
	kept, ok := t.params.Get().(*[]Param)
	if !ok {
		kept = new([]Param)
	}
	params, err := t.Params((*kept)[:0], r)
	defer func() {
		clear(params)
		*kept = params[:0]
		t.params.Put(kept)
	}()
	if err != nil {
		return dst, err
	}
	told := length == 0
	for _, p := range params {
		if p.Name != "CONTENT_LENGTH" {
			continue
		}
		// PHP reads as many bytes as it is told, whatever the records hold.
		if p.Value != strconv.FormatInt(length, 10) {
			return dst, fmt.Errorf("%w: CONTENT_LENGTH is %q, and the body has %d bytes", ErrParam, p.Value, length)
		}
		told = true
	}
	if !told {
		return dst, fmt.Errorf("%w: there is a body, but no CONTENT_LENGTH", ErrParam)
	}
	return appendParams(dst, params)
}
