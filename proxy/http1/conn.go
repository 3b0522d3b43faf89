package http1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mkd/httpfield"
	"mkd/proxy/httpmsg"
)

// State of a connection. Shutdown closes one that waits; one that is busy
// closes itself after its response.
const (
	waiting = iota // for the first byte of a request
	busy
	lingering // its response has Connection: close
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
	long    []byte // a head that passes the buffer of br
	taken   int64  // bytes of memory that the handler was asked for
	handler Handler

	req  *http.Request   // used again for each request
	ctx  *requestContext // used again until somebody waits for its end
	body *body           // of one request: who still reads it later must not read that of the next
	none body            // of requests without a body
	resp Response
	out  output

	switched bool // to another protocol
	refused  bool // the head of the request was malformed or too large

	deadlines sync.Mutex // guards readBy together with the deadline that is set
	readBy    time.Time  // zero: none
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
	c.ctx = newRequestContext(c)
	c.none.end.Store(true)
	c.body = &c.none
	c.resp.conn = c
	c.out.init(c)
	return c
}

// serve handles one request after the other until the connection ends.
func (c *conn) serve() {
	defer c.net.Close()
	c.handler = c.server.NewHandler(c.net)
	defer c.handler.Close()
	defer c.giveMemory()
	c.req = new(http.Request)
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
		c.sooner(time.Now().Add(c.server.headerTimeout()))
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
	c.nextContext()
	r := c.req
	httpmsg.Blank(r)
	if err == nil {
		framing, err = c.parser.ParseHead(head, r)
	}
	c.refused = err != nil
	r.Close = c.refused || !keepsAlive(r)
	r.ContentLength = framing.Length
	c.body = &c.none
	if framing.Length != 0 {
		c.body = newBody(c, framing)
		r.Body = c.body
	}
	if framing.Chunked {
		r.TransferEncoding = chunked
	}
	c.resp.reset(r)
	if !c.call(r, err) || c.switched || !c.finish() {
		return false
	}
	if c.taken > 0 || len(head) > readSize || c.parser.Grown() || len(r.Header) > httpmsg.KeptFields {
		c.shrink()
	}
	c.resp.header.Next() // its values hold on to what made the response
	return true
}

var chunked = []string{"chunked"}

// shrink releases what an unusually large head has left, so that an idle
// connection costs no more than others.
func (c *conn) shrink() {
	c.long, c.parser = nil, httpmsg.Parser{}
	c.giveMemory()
	httpmsg.Blank(c.req)
	c.req.Header = nil
}

// nextContext makes the context of the next request. That of the last one is
// used again only if nobody has waited for its end: package context may still
// ask it, on a goroutine that was slow to start, whether it has ended.
func (c *conn) nextContext() {
	if !c.ctx.begin() {
		c.ctx = newRequestContext(c)
		c.ctx.begin()
	}
	if ctx := c.handler.Context(c.ctx); ctx != c.req.Context() {
		c.req = c.req.WithContext(ctx)
	}
}

// call calls the handler, and reports whether there is a response.
func (c *conn) call(r *http.Request, refused error) (ok bool) {
	defer c.ctx.end()
	defer c.body.close() // before: it may begin to watch the connection at its end
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
	if c.resp.Finish() != nil {
		return false
	}
	if !c.resp.close && c.body.skipBuffered() {
		return true
	}
	// A client that wants the connection closed sends nothing more, if all it sent
	// was understood.
	if c.refused || !c.req.Close || !c.body.atEnd() || c.br.Buffered() > 0 {
		c.linger()
	}
	return false
}

// readHead returns the head of a request, which is valid until the next read.
func (c *conn) readHead() ([]byte, error) {
	c.scan.Reset()
	p, _ := c.br.Peek(c.br.Buffered())
	if n, err := c.scan.Scan(p); n > 0 || err != nil { // as most are
		c.br.Discard(n)
		return p[:n], err
	}
	c.sooner(time.Now().Add(c.server.headerTimeout()))
	for c.long = c.long[:0]; ; {
		if !c.appendHead(p) {
			return nil, errMemory
		}
		c.br.Discard(len(p))
		if _, err := c.br.Peek(1); err != nil {
			return nil, err
		}
		p, _ = c.br.Peek(c.br.Buffered())
		had := len(c.long)
		if !c.appendHead(p) {
			return nil, errMemory
		}
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

// appendHead appends a piece of a head to c.long. A head that is longer than most takes
// memory of the handler's: for itself, and for the copy that the parser makes.
func (c *conn) appendHead(p []byte) bool {
	if need := len(c.long) + len(p); need > cap(c.long) {
		size := readSize
		for size < need {
			size *= 2
		}
		if size > readSize {
			more := 2*int64(size) - c.taken
			if !c.handler.TakeMemory(more) {
				return false
			}
			c.taken += more
		}
		c.long = append(make([]byte, 0, size), c.long...)
	}
	c.long = append(c.long, p...)
	return true
}

var errMemory error = &httpmsg.Error{Status: http.StatusServiceUnavailable, Reason: "there is no memory for a header as long as this"}

// giveMemory gives back what append has taken.
func (c *conn) giveMemory() {
	if c.taken > 0 {
		c.handler.GiveMemory(c.taken)
		c.taken = 0
	}
}

// keepsAlive reports whether the client wants to keep the connection (RFC 9112,
// section 9.3).
func keepsAlive(r *http.Request) bool {
	lines := r.Header["Connection"]
	if r.ProtoMinor == 0 {
		return httpfield.HasItem(lines, "keep-alive") && !httpfield.HasItem(lines, "close")
	}
	return len(lines) == 0 || !httpfield.HasItem(lines, "close")
}

// setReadDeadline sets the deadline of reads; zero: none. It may be called by any
// goroutine.
func (c *conn) setReadDeadline(t time.Time) {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.readBy = t
	c.net.SetReadDeadline(t)
}

// sooner moves the read deadline forward to t, if it is later.
func (c *conn) sooner(t time.Time) {
	if c.readBy.IsZero() || t.Before(c.readBy) {
		c.setReadDeadline(t)
	}
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
	switch {
	case c.state.CompareAndSwap(waiting, ended):
		c.abort()
	case c.state.Load() == lingering:
		c.net.SetReadDeadline(time.Now().Add(lingerDraining))
	}
}

// abort closes the connection. It is called by other goroutines, and doesn't wait:
// to close a TLS connection takes seconds if the client reads nothing.
func (c *conn) abort() { go c.net.Close() }
