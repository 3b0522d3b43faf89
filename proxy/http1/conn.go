package http1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"mkd/proxy/httpmsg"
)

// State of a connection. Shutdown closes one that waits; one that is busy
// closes itself after its response.
const (
	waiting = iota // for the first byte of a request
	busy
	ended
)

// conn is a client's connection. Its fields belong to the goroutine that serves
// it, but for those that say otherwise.
type conn struct {
	server *Server
	net    net.Conn
	state  atomic.Int32

	br      *bufio.Reader
	scan    httpmsg.HeadScanner
	parser  httpmsg.Parser
	long    []byte    // a head that passes the buffer of br
	readBy  time.Time // the read deadline that is set; zero: none
	handler Handler

	req  *http.Request // used again for each request
	ctx  requestContext
	body body
	resp Response
	out  output

	switched bool // to another protocol
}

const (
	readSize = 4 << 10 // bytes of the read buffer: most heads fit
	// coarse is how far a deadline may lie beyond what it should be. A deadline
	// that would move by less is left as it is: setting one costs as much as
	// parsing a few fields.
	coarse = time.Second
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, net: nc, br: bufio.NewReaderSize(nc, readSize)}
	c.scan.Limits = s.Limits
	c.ctx.init(c)
	c.body.conn = c
	c.resp.conn = c
	c.resp.header = make(http.Header)
	c.out.init(c)
	return c
}

// serve handles one request after the other until the connection ends.
func (c *conn) serve() {
	defer c.net.Close()
	handler, ctx := c.server.NewHandler(&c.ctx, c.net)
	c.handler = handler
	defer handler.Close()
	c.req = (&http.Request{}).WithContext(ctx)
	c.req.RemoteAddr = c.net.RemoteAddr().String()
	c.setReadDeadline(time.Now().Add(c.server.headerTimeout()))
	for c.next() && c.handle() {
		if !c.state.CompareAndSwap(busy, waiting) {
			return
		}
		if c.server.draining.Load() { // it may have looked at the state before
			return
		}
		c.waitUntil(time.Now().Add(c.server.idleTimeout()))
	}
}

// next waits for the first bytes of a request, and reports whether they came.
func (c *conn) next() bool {
	if _, err := c.br.Peek(1); err != nil || !c.state.CompareAndSwap(waiting, busy) {
		return false
	}
	// An empty line before a request line is ignored (RFC 9112, section 2.2).
	if p, _ := c.br.Peek(1); p[0] == '\r' {
		if p, err := c.br.Peek(2); err != nil || p[1] != '\n' {
			return err == nil // the head shows what is wrong
		}
		c.br.Discard(2)
		if _, err := c.br.Peek(1); err != nil {
			return false
		}
	}
	return true
}

// handle reads the head of a request and has it handled. It reports whether the
// connection can be used for another.
func (c *conn) handle() bool {
	head, err := c.readHead()
	if err != nil && !errors.As(err, new(*httpmsg.Error)) {
		c.server.logger().Debug("reading the head of a request", "client", c.req.RemoteAddr, "error", err)
		return false
	}
	framing := httpmsg.Framing{}
	r := c.req
	if err == nil {
		framing, err = c.parser.ParseHead(head, r)
	} else {
		httpmsg.Blank(r)
	}
	r.Close = err != nil || !keepsAlive(r)
	r.ContentLength = framing.Length
	c.body.reset(framing)
	if r.Body = nil; framing.Length != 0 {
		r.Body = &c.body
	}
	if r.TransferEncoding = nil; framing.Chunked {
		r.TransferEncoding = chunked
	}
	c.resp.reset(r)
	if !c.call(r, err) {
		return false
	}
	if c.switched {
		return false
	}
	return c.finish()
}

var chunked = []string{"chunked"}

// call calls the handler, and reports whether there is a response.
func (c *conn) call(r *http.Request, refused error) (ok bool) {
	c.ctx.begin()
	defer c.ctx.end()
	defer func() {
		if v := recover(); v != nil {
			ok = false
			c.server.logger().Error("a handler panicked", "client", r.RemoteAddr, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	return c.handler.ServeHTTP1(&c.resp, r, refused) == nil
}

// finish completes the response and what is left of the request. It reports
// whether the connection can be used again.
func (c *conn) finish() bool {
	c.body.close()
	if c.resp.Finish() != nil {
		return false
	}
	if cap(c.long) > maxKept {
		c.long = nil
	}
	if !c.resp.close && c.body.skipBuffered() {
		return true
	}
	// A client that closes the connection itself sends nothing more.
	if !c.req.Close || !c.body.atEnd() {
		c.linger()
	}
	return false
}

// maxKept is how large a buffer may be that a connection keeps, in bytes.
const maxKept = 16 << 10

// readHead returns the head of a request, which is valid until the next read.
func (c *conn) readHead() ([]byte, error) {
	c.scan.Reset()
	p, _ := c.br.Peek(c.br.Buffered())
	if n, err := c.scan.Scan(p); n > 0 || err != nil { // as most are
		c.br.Discard(n)
		return p[:n], err
	}
	if until := time.Now().Add(c.server.headerTimeout()); c.readBy.IsZero() || until.Before(c.readBy) {
		c.setReadDeadline(until)
	}
	for c.long = c.long[:0]; ; {
		c.long = append(c.long, p...)
		c.br.Discard(len(p))
		if _, err := c.br.Peek(1); err != nil {
			return nil, err
		}
		p, _ = c.br.Peek(c.br.Buffered())
		had := len(c.long)
		c.long = append(c.long, p...)
		n, err := c.scan.Scan(c.long)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			c.br.Discard(n - had)
			return c.long[:n], nil
		}
		c.long = c.long[:had]
	}
}

// keepsAlive reports whether the client wants to keep the connection (RFC 9112,
// section 9.3).
func keepsAlive(r *http.Request) bool {
	lines := r.Header["Connection"]
	if r.ProtoMinor == 0 {
		return hasToken(lines, "keep-alive") && !hasToken(lines, "close")
	}
	return len(lines) == 0 || !hasToken(lines, "close")
}

// hasToken reports whether a list has a token (RFC 9110, section 5.6.1).
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// setReadDeadline sets the deadline of reads; zero: none.
func (c *conn) setReadDeadline(t time.Time) {
	c.readBy = t
	c.net.SetReadDeadline(t)
}

// waitUntil is setReadDeadline for a wait that may last a little longer.
func (c *conn) waitUntil(t time.Time) {
	if c.readBy.Before(t) || c.readBy.After(t.Add(coarse)) {
		c.setReadDeadline(t.Add(coarse))
	}
}

// drain closes the connection if no request is in flight. Otherwise it is closed
// after the response. It is called by other goroutines.
func (c *conn) drain() {
	if c.state.CompareAndSwap(waiting, ended) {
		c.net.Close()
	}
}

// abort closes the connection. It is called by other goroutines.
func (c *conn) abort() { c.net.Close() }
