package fastcgi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// exchange is one request on one connection. After RoundTrip it is the body of
// the answer.
type exchange struct {
	sender
	t    *Transport
	q    *request
	r    *http.Request
	body io.ReadCloser // of the request, if it is sent in the background
	br   *bufio.Reader // over input

	mu      sync.Mutex
	conn    *conn // not to be closed by abort once it is given back
	over    bool  // whether it was given back
	aborted error // why it was closed early

	// What follows belongs to whoever reads the answer: RoundTrip, then Read or
	// Close, which take turns.
	turn      sync.Mutex
	records   records
	stderr    lines
	responded bool          // the header came, and RoundTrip succeeds
	answered  bool          // a byte came
	bodyless  bool          // the answer has no body, whatever the server sends
	left      int64         // bytes that are missing from Content-Length; less than 0: unknown
	excess    int           // bytes beyond it
	limit     time.Duration // for what is being waited for; 0: none
	began     time.Time
	since     time.Time   // when the wait began
	armed     bool        // since is set
	noWait    bool        // input fails rather than wait
	unwatch   func() bool // ends the watch over the context; nil: there is none
	ended     error       // what Read returns from now on
}

// errWait says that more would have to be waited for, and noWait forbids it.
var errWait = errors.New("nothing has come yet")

func newExchange(t *Transport, q *request, c *conn) *exchange {
	e := &exchange{t: t, q: q, r: q.r, conn: c, br: t.getReader(), left: -1, began: time.Now()}
	e.limit = limit(t.ResponseTimeout, DefaultResponseTimeout)
	e.br.Reset((*input)(e))
	e.records.br = e.br
	e.stderr = lines{f: t.Stderr, r: q.r}
	return e
}

// roundTrip sends the request and reads the answer's header.
func (e *exchange) roundTrip() (*http.Response, error) {
	e.turn.Lock()
	defer e.turn.Unlock()
	e.conn.SetDeadline(e.arm())
	if err := e.send(); err != nil {
		return nil, e.finish("sending the request", err)
	}
	resp, err := e.readHeader()
	if err != nil {
		return nil, e.finish("reading the answer's header", err)
	}
	e.responded = true
	e.limit = limit(e.t.ReadTimeout, DefaultReadTimeout)
	resp.Body = e
	if !e.bodyless && e.left < 0 {
		// PHP seldom tells the length. If the end has come it is known, and nobody
		// needs to pass the answer on piece by piece.
		if n, ok := e.records.rest(); ok {
			e.left, resp.ContentLength = n, n
		}
	}
	if e.bodyless {
		// Mostly the end has come with the header: then the connection is free
		// even if nobody reads this body.
		if err := e.skipWithoutWaiting(); err != errWait {
			if err := e.finish("reading the answer", err); err != io.EOF {
				return nil, err
			}
			resp.Body = http.NoBody
		}
	}
	return resp, nil
}

// Read reads the answer's body. io.EOF says that it is whole.
func (e *exchange) Read(p []byte) (int, error) {
	e.turn.Lock()
	defer e.turn.Unlock()
	if e.ended != nil {
		return 0, e.ended
	}
	if len(p) == 0 {
		return 0, nil
	}
	e.armed = false
	n, err := e.readBody(p)
	if err != nil {
		return n, e.finish("reading the answer", err)
	}
	return n, nil
}

func (e *exchange) readBody(p []byte) (int, error) {
	for e.bodyless {
		if err := e.skipStdout(); err != nil {
			return 0, err
		}
		e.armed = false
	}
	if err := e.awaitStdout(); err != nil {
		if err == io.EOF && e.left > 0 {
			return 0, errShort
		}
		return 0, err
	}
	if e.left == 0 {
		return 0, e.dropExcess()
	}
	if e.left > 0 && int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.records.read(p)
	if e.left > 0 {
		e.left -= int64(n)
	}
	return n, err
}

// maxExcess is how many bytes beyond the Content-Length are read to reach the end
// of the script. It isn't waited for if it has more to say.
const maxExcess = 1 << 20

// dropExcess passes over what comes after Content-Length bytes, and returns io.EOF
// at the end. awaitStdout has said that there is some: a file that readfile sends
// is often followed by the line end after ?>.
func (e *exchange) dropExcess() error {
	if e.t.Excess != nil {
		e.t.Excess(e.r)
	}
	for e.excess < maxExcess {
		p, err := e.records.peek()
		if err != nil {
			return err
		}
		e.records.discard(len(p))
		e.excess += len(p)
		e.armed = false
		if err := e.awaitStdout(); err != nil {
			return err
		}
	}
	return io.EOF
}

// awaitStdout reads records until there is content of STDOUT to be read. It
// returns io.EOF at END_REQUEST.
func (e *exchange) awaitStdout() error {
	for {
		typ, err := e.records.next()
		if err != nil {
			return err
		}
		switch typ {
		case typeStdout:
			return nil
		case typeStderr:
			p, err := e.records.peek()
			if err != nil {
				return err
			}
			e.stderr.write(p)
			e.records.discard(len(p))
		}
	}
}

// skipStdout passes over what has come of STDOUT.
func (e *exchange) skipStdout() error {
	if err := e.awaitStdout(); err != nil {
		return err
	}
	p, err := e.records.peek()
	e.records.discard(len(p))
	return err
}

// skipWithoutWaiting passes over what has been received already. It returns
// errWait if the end isn't among it.
func (e *exchange) skipWithoutWaiting() error {
	e.noWait = true
	defer func() { e.noWait = false }()
	for {
		if err := e.skipStdout(); err != nil {
			return err
		}
	}
}

// Close ends the exchange. Unless the answer is whole, and all of it has come,
// the connection is closed, by which PHP knows that nobody wants the rest.
func (e *exchange) Close() error {
	if !e.turn.TryLock() {
		e.abort(ErrClosed) // makes the Read that is under way return
		e.turn.Lock()
	}
	defer e.turn.Unlock()
	if e.ended == nil {
		err := e.skipWithoutWaiting()
		if err == errWait {
			err = ErrClosed
		}
		e.finish("reading the answer", err)
	}
	e.ended = e.t.fail(&Error{Op: "reading the answer", Sent: true, Answered: true, Err: ErrClosed})
	return nil
}

// abort closes the connection, unless the exchange is over. It may be called at
// any time.
func (e *exchange) abort(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	if e.aborted == nil {
		e.aborted = cause
	}
	e.conn.close()
}

// finish ends the exchange. io.EOF says that the answer is whole; it is
// returned as it is, and other errors as an *Error.
func (e *exchange) finish(op string, err error) error {
	if e.unwatch != nil {
		e.unwatch()
	}
	if err != io.EOF {
		e.abort(err)
	}
	sent := e.joinSender(err == io.EOF)
	e.mu.Lock()
	e.over = true
	aborted := e.aborted
	e.mu.Unlock()
	keep := err == io.EOF && aborted == nil && sent && e.excess == 0 && e.t.KeepAlive > 0
	if keep {
		e.conn.SetDeadline(time.Time{})
		e.t.keep(e.conn)
	} else {
		e.conn.close()
	}
	e.stderr.close()
	e.t.putReader(e.br)
	e.br, e.records.br = nil, nil
	if e.done != nil && e.responded {
		e.q.release()
	}
	if err == io.EOF {
		e.ended = io.EOF
		return io.EOF
	}
	e.ended = e.t.fail(&Error{Op: op, Sent: e.sent.Load(), Answered: e.answered, Err: e.reason(err, aborted)})
	return e.ended
}

// joinSender waits for the goroutine that sends, if there is one, and reports
// whether the server took all of the request. If the answer is whole before
// that, the rest isn't wanted.
func (e *exchange) joinSender(answered bool) bool {
	if e.done == nil {
		return e.whole
	}
	select {
	case <-e.done:
	default:
		if answered {
			e.mu.Lock()
			e.conn.close()
			e.mu.Unlock()
		}
		if e.body != nil {
			e.body.Close()
			e.body = nil
		}
		<-e.done
		e.whole = e.whole && !answered // closed above
	}
	if e.body != nil {
		e.body.Close()
		e.body = nil
	}
	return e.whole
}

// reason returns why the exchange failed, which may be another thing than what
// the reader of the answer met.
func (e *exchange) reason(err, aborted error) error {
	if aborted != nil {
		err = aborted
	}
	switch {
	case errors.Is(err, ErrBody):
		return err
	case e.r.Context().Err() != nil:
		return context.Cause(e.r.Context())
	case e.err != nil && !errors.Is(e.err, net.ErrClosed) && disconnected(err) && !e.answered:
		return e.err // it tells more, unless it was this side that closed
	}
	return err
}

// disconnected tells whether an error says that the server closed the connection.
func disconnected(err error) bool {
	if errors.Is(err, ErrBody) {
		return false
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) // the latter by a write
}

// arm starts the time within which e.limit allows an answer. It returns the
// deadline that the connection is to have first.
func (e *exchange) arm() time.Time {
	e.since, e.armed = time.Now(), true
	until := e.deadline()
	if e.unwatch == nil && e.since.Sub(e.began) >= patience {
		e.watch()
	}
	if e.unwatch == nil {
		if first := e.since.Add(patience); until.IsZero() || first.Before(until) {
			until = first
		}
	}
	return until
}

// watch has the end of the context end the exchange.
func (e *exchange) watch() {
	ctx := e.r.Context()
	e.unwatch = context.AfterFunc(ctx, func() { e.abort(context.Cause(ctx)) })
}

// deadline returns when the wait is to end; zero: never.
func (e *exchange) deadline() time.Time {
	if e.limit == 0 {
		return time.Time{}
	}
	from := e.since
	if last := time.Unix(0, e.progress.Load()); last.After(from) {
		from = last
	}
	return from.Add(e.limit)
}

// overdue is called when a read met its deadline. It returns nil if that was
// only the end of patience, or if the server took a part of the request since.
func (e *exchange) overdue() error {
	if e.unwatch == nil {
		e.watch()
	}
	if ctx := e.r.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	until := e.deadline()
	if !until.IsZero() && !time.Now().Before(until) {
		return ErrTimeout
	}
	e.conn.SetReadDeadline(until)
	return nil
}

// input reads from the server, within the time that is allowed.
type input exchange

func (i *input) Read(p []byte) (int, error) {
	e := (*exchange)(i)
	if e.noWait {
		return 0, errWait
	}
	if !e.armed {
		e.conn.SetReadDeadline(e.arm())
	}
	for {
		n, err := e.conn.Read(p)
		if n > 0 {
			e.answered = true
			return n, nil
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := e.overdue(); err != nil {
				return 0, err
			}
		case err == io.EOF:
			return 0, io.ErrUnexpectedEOF // END_REQUEST ends an answer, and nothing else
		case errors.Is(err, syscall.ECONNRESET):
			return 0, fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
		case errors.Is(err, net.ErrClosed):
			return 0, ErrClosed
		default:
			return 0, err
		}
	}
}
