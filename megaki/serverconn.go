package megaki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// States of a connection, for Shutdown.
const (
	connIdle   = iota // no message under way
	connActive        // from a message's first byte to its answer's last
	connClosed        // by Shutdown
)

// Reasons for the end of a connection that are in order, or told elsewhere.
var (
	errGone    = errors.New("closed by the client")
	errIdle    = errors.New("no message came for too long")
	errKeyUsed = errors.New("the messages that one key may have are used up")
	errHandler = errors.New("the handler gave no answer")
)

// serverConn is a connection of a server. One goroutine owns it.
type serverConn struct {
	srv    *Server
	conn   net.Conn
	wire   *wire
	ctx    context.Context
	remote netip.AddrPort
	state  atomic.Int32

	// The session, from begin on.
	token   Token
	key     SessionKey
	box     *box
	pending bool // the key isn't known yet to be the client's
	count   int  // messages
	expect  expectation

	request  Request
	response ResponseWriter
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	c := &serverConn{srv: s, conn: conn, wire: newWire(conn, s.memory), ctx: s.ctx}
	c.response = ResponseWriter{mem: s.memory, limit: s.maxMessage()}
	return c
}

// addrPort is the address of a connection's peer, the zero value where that
// isn't an IP address.
func addrPort(conn net.Conn) netip.AddrPort {
	addr := conn.RemoteAddr()
	if addr == nil {
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// begin starts the session that hello has led to.
func (c *serverConn) begin(token Token, key SessionKey, pending bool) {
	if key.seen == nil {
		key.seen = newSeenMACs()
	}
	c.token, c.key, c.pending = token, key, pending
	c.box = newBox(&key.Key)
	c.request.Session, c.request.Client, c.request.conn = token, c.remote, c
	c.expect = expectation{state: "MSG", types: []byte{typeMSG}, minMsg: 1, maxMsg: c.srv.maxMessage()}
}

func (c *serverConn) serve() {
	defer func() {
		if v := recover(); v != nil {
			c.srv.log().Error("a handler panicked; its connection is closed", "client", c.remote, "panic", v, "stack", string(debug.Stack()))
		}
		c.response.release()
		c.wire.release()
		c.conn.Close()
		if c.key.seen != nil {
			c.key.seen.retire()
		}
	}()
	start := time.Now()
	deadline := start.Add(c.srv.handshakeTimeout())
	c.conn.SetDeadline(deadline)
	ctx, cancel := context.WithDeadline(c.ctx, deadline)
	defer cancel()
	// Not before the deadline is set, and not on the goroutine that accepts:
	// where a proxy tells the address, it has to be read from the connection.
	c.remote = addrPort(c.conn)
	err := c.hello(ctx)
	cancel()
	for err == nil { // each message sets the deadlines of its own
		err = c.message()
	}
	c.logEnd(err, time.Since(start))
}

// logEnd tells why the connection ended.
func (c *serverConn) logEnd(err error, duration time.Duration) {
	level := slog.LevelInfo
	switch {
	case c.state.Load() == connClosed, c.ctx.Err() != nil, errors.Is(err, ErrServerClosed):
		level, err = slog.LevelDebug, ErrServerClosed
	case errors.Is(err, errGone), errors.Is(err, errIdle), errors.Is(err, errKeyUsed), errors.Is(err, errHandler):
		level = slog.LevelDebug
	}
	c.srv.log().Log(c.ctx, level, "connection ended", "client", c.remote, "reason", err,
		"messages", c.count, "duration", duration)
}

// message carries one message through: read, open, handle, seal, write.
func (c *serverConn) message() error {
	c.state.CompareAndSwap(connActive, connIdle)
	if c.srv.closed.Load() {
		return ErrServerClosed
	}
	c.conn.SetReadDeadline(time.Now().Add(c.srv.idleTimeout()))
	switch err := c.wire.first(); {
	case errors.Is(err, io.EOF):
		return errGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errIdle
	case errors.Is(err, syscall.ECONNRESET): // it left without reading its answer
		return errGone
	case err != nil:
		return fmt.Errorf("waiting for a message: %w", err)
	}
	if !c.state.CompareAndSwap(connIdle, connActive) {
		return ErrServerClosed
	}
	if size, _ := c.expect.size(c.wire.buf.b[:c.wire.n]); size != c.wire.n {
		c.conn.SetReadDeadline(time.Now().Add(c.srv.messageTimeout()))
	}
	p, err := c.wire.rest(&c.expect)
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	answer, err := c.answer(p)
	if err != nil {
		return err
	}
	err = c.wire.writePacket(answer, c.srv.writeTimeout())
	c.response.release()
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	if c.count >= c.srv.maxMessagesPerKey() {
		return errKeyUsed
	}
	return nil
}

// handle has the handler answer the request.
func (c *serverConn) handle() error {
	defer func() { // after a panic too
		if c.request.ctx != nil {
			c.request.ctx.end()
			c.request.ctx = nil
		}
	}()
	return c.srv.Handler.ServeMegaki(&c.response, &c.request)
}

// answer opens a MSG, has it handled, and returns the sealed answer, which is
// valid until the response is released. The request's buffer is given back.
func (c *serverConn) answer(p msgPacket) ([]byte, error) {
	if !c.box.verify(p) {
		return nil, fmt.Errorf("message: %w: wrong MAC", errCrypto)
	}
	if !c.key.seen.add(p.mac(), len(p.ciphertext())) {
		return nil, fmt.Errorf("message: %w: it was sent before", errCrypto)
	}
	if c.pending {
		c.pending = false
		ctx, cancel := context.WithTimeout(c.ctx, c.srv.messageTimeout())
		err := c.promote(ctx)
		cancel()
		if err != nil {
			c.srv.log().Warn("session can't be resumed: the store failed", "client", c.remote, "error", err)
		}
	}
	c.count++
	carried := Token(p.token())
	if err := c.response.begin(); err != nil {
		return nil, err
	}
	c.request.Body, c.request.Count = c.box.open(p), c.count
	err := c.handle()
	c.request.Body = nil
	c.wire.release()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHandler, err)
	}
	out := c.response.packet()
	c.box.seal(out, typeMSG, carried[:], c.response.n)
	c.key.seen.add(out.mac(), len(out.ciphertext()))
	return out, nil
}

// closeIfIdle closes the connection unless a message is under way.
func (c *serverConn) closeIfIdle() {
	if c.state.CompareAndSwap(connIdle, connClosed) {
		c.conn.Close()
	}
}
