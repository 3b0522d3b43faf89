package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"mkd/proxy/httpmsg"
)

// body is the body of one request. It may be read on another goroutine than the
// handler's, while the response is written.
type body struct {
	conn     *conn
	ctx      *requestContext
	received atomic.Int64 // bytes, decoded
	end      atomic.Bool  // the next byte is that of another request

	reading sync.Mutex // held by Read
	framing httpmsg.Framing
	left    int64     // of a body with a length
	chunks  io.Reader // decodes a chunked body; nil before its first byte
	expect  bool      // the client waits for 100 (Continue)
	waited  time.Duration
	err     error // what Read returns from now on

	mu     sync.Mutex // guards closed and end together with the read deadline
	closed bool
}

var errTrailer = errors.New("the trailer of a chunked body is malformed or too long")

// maxTrailer bounds the trailer section of a chunked body, in bytes. Its fields
// are dropped (RFC 9110, section 6.5.1).
const maxTrailer = 8 << 10

// newBody returns the body of the next request, which isn't empty.
func newBody(c *conn, f httpmsg.Framing) *body {
	return &body{conn: c, ctx: c.ctx, framing: f, left: f.Length, expect: f.Expect}
}

// atEnd reports whether the whole body was read.
func (b *body) atEnd() bool { return b.end.Load() }

// Read implements io.Reader. Its errors are io.EOF at the body's end,
// http.ErrBodyReadAfterClose, and what the connection or the framing met.
func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if b.atEnd() {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.expect {
		b.expect = false
		if err := b.conn.resp.sendContinue(); err != nil {
			return 0, b.fail(err)
		}
	}
	var began time.Time
	if b.conn.br.Buffered() == 0 || b.framing.Chunked {
		began = time.Now()
		if !b.arm(began) {
			return 0, b.fail(http.ErrBodyReadAfterClose)
		}
	}
	n, err := b.read(p)
	b.received.Add(int64(n))
	if !began.IsZero() {
		b.waited += time.Since(began)
	}
	switch {
	case err == io.EOF:
		b.mu.Lock()
		b.end.Store(true)
		b.mu.Unlock()
		b.ctx.bodyEnded()
	case err != nil:
		err = b.fail(err)
	}
	return n, err
}

// fail keeps an error for later calls.
func (b *body) fail(err error) error {
	b.mu.Lock()
	if b.closed {
		err = http.ErrBodyReadAfterClose
	}
	b.mu.Unlock()
	b.err = err
	return err
}

// arm sets the deadline of the next read. It reports false once b is closed.
func (b *body) arm(now time.Time) bool {
	s := b.conn.server
	pace := Pace{s.bodyTimeout(), s.MinRate}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.conn.setReadDeadline(now.Add(pace.Patience(b.received.Load(), b.waited)))
	return true
}

// read returns io.EOF with the last bytes, where that is known then.
func (b *body) read(p []byte) (int, error) {
	if b.framing.Chunked {
		return b.readChunks(p)
	}
	n, err := b.conn.br.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	return n, noEOF(err)
}

func (b *body) readChunks(p []byte) (int, error) {
	br := b.conn.br
	if b.chunks == nil {
		b.chunks = httputil.NewChunkedReader(br)
	}
	if br.Buffered() == 0 {
		if _, err := br.Peek(1); err != nil {
			return 0, noEOF(err)
		}
	}
	// The decoder waits until it has filled p: it gets no more room than has
	// arrived.
	n, err := b.chunks.Read(p[:min(len(p), br.Buffered())])
	if err != io.EOF {
		return n, err
	}
	for rest := maxTrailer; ; {
		line, err := br.ReadSlice('\n')
		rest -= len(line)
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return n, noEOF(err)
		case err != nil, rest < 0, len(line) < 2, line[len(line)-2] != '\r':
			return n, errTrailer
		case len(line) == 2:
			return n, io.EOF
		case httpmsg.CheckField(string(line[:len(line)-2])) != nil:
			return n, errTrailer
		}
	}
}

// noEOF makes io.EOF the error that it is within a body.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close implements io.Closer. A Read in progress returns; the rest of the body
// is left to the connection.
func (b *body) Close() error {
	b.close()
	return nil
}

// close waits until no Read is in progress.
func (b *body) close() {
	b.mu.Lock()
	if !b.closed && !b.atEnd() {
		b.conn.setReadDeadline(time.Unix(1, 0)) // a Read in progress returns
	}
	b.closed = true
	b.mu.Unlock()
	b.reading.Lock()
	if !b.atEnd() {
		b.err = http.ErrBodyReadAfterClose
	}
	b.reading.Unlock()
}

// arrived reports whether the rest of the body is in the read buffer, so that
// the connection can be used again however little of the body the handler
// wants. It changes nothing.
func (b *body) arrived() bool {
	if b.atEnd() {
		return true
	}
	if !b.reading.TryLock() {
		return false
	}
	defer b.reading.Unlock()
	return b.isHere()
}

// isHere is arrived, for whoever holds reading.
func (b *body) isHere() bool {
	if b.atEnd() {
		return true
	}
	br := b.conn.br
	if !b.framing.Chunked {
		return int64(br.Buffered()) >= b.left
	}
	if b.chunks != nil {
		return false
	}
	p, _ := br.Peek(br.Buffered())
	_, ok := skipChunks(p)
	return ok
}

// skipChunks returns what follows a chunked body, if p has all of it and there
// is no trailer.
func skipChunks(p []byte) (rest []byte, ok bool) {
	r := bytes.NewReader(p)
	br := bufio.NewReaderSize(r, len(p))
	if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(br)); err != nil {
		return nil, false
	}
	return bytes.CutPrefix(p[len(p)-r.Len()-br.Buffered():], []byte("\r\n"))
}

// skipBuffered drops the rest of a closed body if it has arrived, and reports
// whether the body is at its end then.
func (b *body) skipBuffered() bool {
	// A Read that comes late returns at once. It mustn't end a connection that the
	// response has promised to keep, so it is waited for.
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.atEnd() {
		return true
	}
	if !b.isHere() {
		return false
	}
	br := b.conn.br
	skip := int(b.left)
	if b.framing.Chunked {
		p, _ := br.Peek(br.Buffered())
		rest, _ := skipChunks(p)
		skip = len(p) - len(rest)
	}
	br.Discard(skip)
	b.end.Store(true)
	return true
}
