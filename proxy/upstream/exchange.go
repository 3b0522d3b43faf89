package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"sync"
	"syscall"
	"time"
)

// exchange is one request and its answer. After RoundTrip it is the body of the
// answer.
type exchange struct {
	sender
	waits
	t      *Transport
	r      *http.Request
	body   io.ReadCloser // of the request; nil once it is closed
	length int64         // of that body in bytes; -1: unknown
	asks   bool          // for another protocol
	reused bool          // a kept connection

	mu      sync.Mutex
	conn    *conn // not to be closed by abort once it is given back
	over    bool  // whether it was given back
	aborted error // why it was closed early

	// What follows belongs to whoever reads the answer: RoundTrip, then Read or
	// Close, which take turns.
	turn     sync.Mutex
	resp     http.Response
	br       *bufio.Reader // over input
	answered bool          // a byte came
	failed   error         // what input met
	headSize int           // bytes of the heads that came
	ending   ending
	left     int64         // bytes that are missing from Content-Length
	close    bool          // the server closes the connection after it
	hint     time.Duration // how long it keeps it otherwise; less than 0: it doesn't say
	chunks   io.Reader     // decodes the chunked coding
	finished bool          // the connection and what else was in use is given back
	ended    error         // what Read returns from now on
	closed   bool          // Close was called
}

// maxInformational is how many 1xx answers may come before the final one.
const maxInformational = 16

func (x *exchange) roundTrip() (*http.Response, error) {
	x.turn.Lock()
	defer x.turn.Unlock()
	if err := x.prepare(); err != nil {
		return nil, x.finish("making the request", err)
	}
	if x.r.Context().Err() != nil || x.late(x.began) {
		return nil, x.finish("waiting for a connection", x.cause())
	}
	if err := x.t.acquire(x); err != nil {
		return nil, x.finish("waiting for a connection", err)
	}
	x.acquired = true
	for {
		if err := x.open(); err != nil {
			return nil, x.finish("connecting", err)
		}
		read, err := x.assemble()
		if err != nil {
			return nil, x.finish("reading the request", err)
		}
		if read && x.reused && !x.conn.quiet() && x.reopen() {
			continue // it was closed while the body came
		}
		until := x.arm()
		x.conn.Conn.SetDeadline(sooner(until, x.since.Add(patience)))
		op := "sending the request"
		if err = x.send(); err == nil {
			op = "reading the answer's header"
			err = x.readHeads()
		}
		if err == nil {
			return x.respond()
		}
		if !x.reused || !disconnected(err) || !x.reopen() {
			return nil, x.finish(op, err)
		}
	}
}

// open takes a kept connection, or makes a new one.
func (x *exchange) open() error {
	c := x.t.kept(time.Now())
	if c == nil {
		var err error
		if c, err = x.t.dial(x); err != nil {
			return err
		}
	}
	x.br = x.t.getReader()
	x.br.Reset((*input)(x))
	x.mu.Lock()
	x.conn, c.x, x.reused = c, x, c.reused
	x.mu.Unlock()
	return nil
}

// reopen lets go of a connection that was found closed before anything was
// written. It reports false if something was, or if the exchange itself closed
// it.
func (x *exchange) reopen() bool {
	if x.done != nil {
		select {
		case <-x.done:
		default:
			return false
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sent.Load() || x.answered || x.aborted != nil {
		return false
	}
	x.done, x.err, x.failed = nil, nil, nil
	x.conn.Conn.Close()
	x.conn.x, x.conn = nil, nil
	x.t.putReader(x.br)
	x.br = nil
	return true
}

// readHeads reads the head of the final answer, and those of 1xx answers before.
func (x *exchange) readHeads() error {
	for range maxInformational + 1 {
		// What isn't HTTP/1 is told by its first bytes: more may never come.
		if p, err := x.br.Peek(len(protocol)); !strings.HasPrefix(protocol, string(p)) {
			return errProtocol
		} else if err != nil {
			return err
		}
		text, err := x.readLines()
		if err != nil {
			return err
		}
		resp := &x.resp
		if err := parseHead(text, resp); err != nil {
			return err
		}
		switch code := resp.StatusCode; {
		case code == http.StatusSwitchingProtocols:
			return x.checkSwitch()
		case code >= 200:
			return nil
		case code == http.StatusContinue && x.expecting:
			x.startBody()
		}
		if trace := httptrace.ContextClientTrace(x.r.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(resp.StatusCode, textproto.MIMEHeader(resp.Header)); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: more than %d answers of status 1xx", ErrHeader, maxInformational)
}

// readLines reads lines up to an empty one: a head, or a trailer.
func (x *exchange) readLines() (string, error) {
	buf := x.t.getBuffer()
	defer x.t.putBuffer(buf)
	most, start := x.t.maxHeader(), 0
	for {
		p, err := x.br.ReadSlice('\n')
		if x.headSize += len(p); x.headSize > most {
			return "", fmt.Errorf("%w: it is longer than %d bytes", ErrHeader, most)
		}
		*buf = append(*buf, p...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil:
			return "", err
		}
		if line := (*buf)[start:]; len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			return string(*buf), nil
		}
		start = len(*buf)
	}
}

// respond completes the answer of which the head has come.
func (x *exchange) respond() (*http.Response, error) {
	resp := &x.resp
	resp.Request = x.r
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return x.upgrade()
	}
	ending, err := frame(resp, x.r.Method)
	if err != nil {
		return nil, x.finish("reading the answer's header", err)
	}
	x.ending, x.left = ending, resp.ContentLength
	resp.Close = !persistent(resp) || ending == atClose
	// The header is the caller's from now on.
	x.close, x.hint = resp.Close, keepAlive(resp.Header)
	x.limit = limit(x.t.ReadTimeout, DefaultReadTimeout)
	switch ending {
	case atHead:
		if err := x.finish("reading the answer", io.EOF); err != io.EOF {
			return nil, err
		}
		resp.Body = http.NoBody
		return resp, nil
	case atChunk:
		x.chunks = httputil.NewChunkedReader(x.br)
	}
	resp.Body = x
	return resp, nil
}

// abort closes the connection, unless the exchange is over. It may be called at
// any time.
func (x *exchange) abort(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	if x.aborted == nil {
		x.aborted = cause
	}
	if x.conn != nil {
		x.conn.Conn.Close()
	}
}

// finish ends the exchange, and gives back all that it has. io.EOF says that the
// answer is whole; it is returned as it is, and other errors as an *Error.
func (x *exchange) finish(op string, err error) error {
	if x.finished {
		return x.ended
	}
	x.finished = true
	if x.unwatch != nil {
		x.unwatch()
	}
	whole := err == io.EOF
	if !whole && x.conn != nil && (x.sent.Load() || !errors.Is(err, ErrBody)) {
		x.abort(err)
	}
	sent := x.joinSender(whole)
	x.mu.Lock()
	x.over = true
	aborted := x.aborted
	x.mu.Unlock()
	x.giveBack(whole && sent, aborted == nil)
	if whole {
		x.ended = io.EOF
		return io.EOF
	}
	x.ended = &Error{
		Op: op, Address: x.t.Address, Err: x.reason(err, aborted),
		Sent: x.sent.Load(), Answered: x.answered, Reused: x.reused,
	}
	return x.ended
}

// giveBack keeps the connection or closes it, and lets others have their turn. A
// connection on which nothing was sent, or on which all was said, is as good as
// before if nothing else came.
func (x *exchange) giveBack(exchanged, intact bool) {
	if c := x.conn; c != nil {
		c.x = nil
		if exchanged && x.excess() {
			c.ended = true // nothing that it says can be trusted any more
			if x.t.Excess != nil {
				x.t.Excess(x.r)
			}
		}
		keep := intact && !c.ended && x.failed == nil && x.br.Buffered() == 0
		hint := time.Duration(-1)
		if exchanged {
			keep = keep && !x.close
			hint = x.hint
		} else {
			keep = keep && !x.sent.Load()
		}
		if keep {
			x.t.keep(c, hint)
		} else {
			c.Conn.Close()
		}
		x.t.putReader(x.br)
		x.br, x.chunks = nil, nil
	}
	if x.head != nil {
		x.t.putBuffer(x.head)
		x.head = nil
	}
	if x.acquired {
		x.t.release()
	}
	x.t.active.Add(-1)
}

// excess reports whether bytes have come that aren't part of the response. The
// end of a long one is often read straight from the socket, so that what comes
// after it is still there.
func (x *exchange) excess() bool {
	if x.br.Buffered() > 0 {
		return true
	}
	if x.ending != atLength || x.resp.ContentLength <= readerSize || x.conn.ended {
		return false
	}
	return !x.conn.quiet() && !x.conn.ended
}

// reason returns why the exchange failed, which may be another thing than what
// the reader of the answer met.
func (x *exchange) reason(err, aborted error) error {
	if aborted != nil {
		err = aborted
	}
	switch {
	case errors.Is(err, ErrBody):
		return err
	case x.r.Context().Err() != nil:
		return context.Cause(x.r.Context())
	case x.err != nil && disconnected(err) && !x.answered:
		return x.err // it tells more
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

// input is the stream from the server, up to its end if an answer may have that
// for its own.
type input exchange

func (i *input) Read(p []byte) (int, error) {
	x := (*exchange)(i)
	n, err := x.conn.stream.Read(p)
	if n > 0 {
		x.answered = true
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF && x.ending == atClose && (x.conn.tls == nil || !x.conn.ended):
		// With TLS the end has to be said (RFC 9112, section 9.8): anybody can
		// close the socket.
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, syscall.ECONNRESET):
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	case errors.Is(err, net.ErrClosed):
		err = ErrClosed
	}
	x.failed = err
	return n, err
}
