package roundtrip

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Trip is a request and its response on one connection. Begin makes it ready. But
// for Abort, its methods are called by one goroutine at a time: the one that reads
// the response.
type Trip struct {
	Protocol string // of the server, for errors
	Address  string // of the server, for errors

	Reused    bool // the connection was used before
	Responded bool // a byte of a response came

	sending
	waiting
	ctx  context.Context
	body io.ReadCloser // of the request; nil once it is closed

	deadlines *Deadlines // of the connection

	mu      sync.Mutex
	conn    net.Conn // the socket; Abort doesn't close it once the Trip is over
	over    bool
	aborted error // why it was aborted
}

// Begin makes a Trip ready for a request, whose body it closes in the end.
func (t *Trip) Begin(r *http.Request) {
	t.ctx, t.body, t.began = r.Context(), r.Body, time.Now()
	t.until, _ = t.ctx.Deadline()
	if t.body == http.NoBody {
		t.CloseBody()
	}
}

// Body returns the request's body, nil if there is none or it is closed.
func (t *Trip) Body() io.ReadCloser { return t.body }

// CloseBody closes the request's body if that wasn't done yet.
func (t *Trip) CloseBody() {
	if t.body != nil {
		t.body.Close()
		t.body = nil
	}
}

// Open sets the connection, and what is known of its deadlines.
func (t *Trip) Open(conn net.Conn, d *Deadlines, reused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn, t.deadlines, t.Reused = conn, d, reused
}

// Reopen closes a connection on which nothing was sent, so that another one can be
// opened. It reports false, and does nothing, if something was sent or received,
// or if the Trip was aborted.
func (t *Trip) Reopen() bool {
	if t.done != nil {
		select {
		case <-t.done:
		default:
			return false
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent.Load() || t.Responded || t.aborted != nil {
		return false
	}
	t.done, t.err = nil, nil
	t.conn.Close()
	t.conn = nil
	return true
}

// Abort closes the connection, unless the Trip is over. It may be called at any
// time.
func (t *Trip) Abort(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	if t.aborted == nil {
		t.aborted = cause
	}
	if t.conn != nil {
		t.conn.Close()
	}
}

// End ends the Trip: err is io.EOF if the response is complete. Otherwise the
// connection is closed, unless nothing was sent on it because of the request's
// body. sent reports whether the server has taken the whole request, and intact
// whether the connection wasn't closed. The request's body is closed.
func (t *Trip) End(err error) (sent, intact bool) {
	t.StopWatch()
	if err != io.EOF && (t.sent.Load() || !errors.Is(err, ErrBody)) {
		t.Abort(err)
	}
	sent = t.join(err == io.EOF)
	t.CloseBody()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	return sent, t.aborted == nil
}

// Detach ends the Trip without touching the connection, which is somebody else's
// from then on. It reports false if the Trip was aborted.
func (t *Trip) Detach() bool {
	t.StopWatch()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = t.aborted == nil
	return t.over
}

// Fail returns the *Error for a step that failed. err may be another thing than
// the reason: it is what the reader of the response met.
func (t *Trip) Fail(op string, err error) *Error {
	return &Error{
		Protocol: t.Protocol, Address: t.Address, Op: op, Err: t.reason(err),
		Sent: t.sent.Load(), Responded: t.Responded, Reused: t.Reused,
	}
}

func (t *Trip) reason(err error) error {
	t.mu.Lock()
	if t.aborted != nil {
		err = t.aborted
	}
	t.mu.Unlock()
	switch {
	case errors.Is(err, ErrBody):
		return err
	case t.ctx.Err() != nil:
		return context.Cause(t.ctx)
	case t.err != nil && !errors.Is(t.err, net.ErrClosed) && Disconnected(err) && !t.Responded:
		return t.err // it is more exact, unless it was this side that closed
	}
	return err
}
