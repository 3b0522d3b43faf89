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
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"mkd/share"
)

// States of a connection, for Shutdown.
const (
	connIdle   = iota // no message in flight
	connActive        // from a message's first byte to its response's last
	connClosed        // by Shutdown
)

// Reasons for the end of a connection that are normal, or logged elsewhere.
var (
	errClosedByClient = errors.New("closed by the client")
	errIdle           = errors.New("no message came for too long")
	errSpent          = errors.New("the key may carry no further message")
	errHandler        = errors.New("the handler failed")
	errPanicked       = errors.New("the handler panicked")

	errRests = errors.New("no message came for a while") // the connection can rest
)

// serverConn is a connection of a server. One goroutine owns it, or while it rests
// the server's lot. It knows nothing of keys and packets: a handshake gives it a
// session.
type serverConn struct {
	srv    *Server
	mem    *memoryClient
	remote netip.AddrPort
	state  atomic.Int32
	start  time.Time
	ended  func() // counts its end; nil before the handshake
	done   func() // called when it has ended

	socket
	wire   *wire     // nil while the connection rests
	readBy time.Time // the deadline of reads, as far as it is known; while it rests, its end
	resting
	stays bool // it couldn't rest when it would have

	agreement               // session is nil before the handshake
	resumed    bool         // the handshake was a resumption
	open       atomic.Bool  // after the handshake: what LiveSessions shows stays as it is
	messages   atomic.Int64 // how many there were
	touched    time.Time    // when the session was last marked as used in the store
	*roundTrip              // nil before the first message, and while the connection rests
}

// roundTrip is a message and its response.
type roundTrip struct {
	request  Request
	response ResponseWriter
}

func newRoundTrip(c *serverConn) *roundTrip {
	return &roundTrip{
		request:  Request{Session: c.token, Key: c.key, Client: c.remote, conn: c},
		response: ResponseWriter{mem: c.mem, limit: c.srv.maxMessage(), session: c.session},
	}
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	return &serverConn{srv: s, socket: socket{conn: conn}, done: func() {}}
}

// addrPort returns the address of a connection's peer, or the zero value if
// that is not an IP address.
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

// serve brings a connection to a session. A goroutine of its own carries the
// messages: the stack of a handshake is deep.
func (c *serverConn) serve() {
	growStack()
	if err := c.guard(c.handshake); err != nil {
		c.end(err)
		return
	}
	go c.run()
}

// growStack makes the stack of a new goroutine large enough for a resumption at once:
// otherwise it is copied each time that it doubles.
//
//go:noinline
func growStack() {
	var room [6 << 10]byte
	runtime.KeepAlive(&room)
}

// run carries messages until the connection ends or rests.
func (c *serverConn) run() {
	var err error // errPanicked while a handler could end the goroutine
	defer func() {
		if err != nil {
			c.end(err)
		}
	}()
	for {
		err = errPanicked
		if err = c.guard(c.carry); err != errRests {
			return
		}
		if c.rest() {
			err = nil
			return
		}
		c.stays = true
	}
}

// guard calls f, and makes a panic of it an error.
func (c *serverConn) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.log().Error("a handler panicked; its connection is closed", "client", c.remote, "panic", v, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return f()
}

// carry carries messages until one fails, or none comes for a while.
func (c *serverConn) carry() error {
	for {
		if err := c.message(); err != nil {
			return err
		}
	}
}

func (c *serverConn) handshake() error {
	c.start = time.Now()
	deadline := c.start.Add(c.srv.handshakeTimeout())
	c.conn.SetDeadline(deadline)
	ctx, cancel := context.WithDeadline(c.srv.ctx, deadline)
	defer cancel()
	// Not before the deadline is set, and not on the goroutine that accepts: the
	// address may have to be read from the connection, where a proxy sends it.
	c.remote = addrPort(c.conn)
	client := c.srv.counted(c.remote.Addr())
	proxy := client != c.remote.Addr()
	c.mem = c.srv.memory.join(client)
	c.wire = newWire(c.conn, c.mem)

	h := serverHandshake{srv: c.srv, wire: c.wire, mem: c.mem, remote: c.remote, proxy: proxy, client: share.Network(client)}
	var err error
	c.agreement, err = h.run(ctx)
	outcome, ended := c.srv.began(&c.agreement, err)
	c.ended = ended
	if err == nil {
		c.resumed = outcome.Resumption()
		c.open.Store(true)
	}
	return err
}

// end ends the connection, and drops what it holds.
func (c *serverConn) end(err error) {
	c.logEnd(err, time.Since(c.start))
	if c.ended != nil {
		c.ended()
	}
	if c.roundTrip != nil {
		c.response.release()
	}
	if c.wire != nil {
		c.wire.release()
	}
	if c.session != nil {
		c.session.close() // first: the client resumes once it sees the connection closed
	}
	c.socket.close()
	if c.mem != nil {
		c.mem.leave()
	}
	c.srv.untrack(c)
}

// logEnd logs why the connection ended.
func (c *serverConn) logEnd(err error, duration time.Duration) {
	level := slog.LevelInfo
	switch {
	case c.state.Load() == connClosed, c.srv.ctx.Err() != nil, errors.Is(err, ErrServerClosed):
		level, err = slog.LevelDebug, ErrServerClosed
	case errors.Is(err, errClosedByClient), errors.Is(err, errIdle), errors.Is(err, errSpent), errors.Is(err, errHandler), errors.Is(err, errPanicked):
		level = slog.LevelDebug
	}
	c.srv.log().Log(c.srv.ctx, level, "connection ended", "client", c.remote, "reason", err,
		"messages", c.messages.Load(), "duration", duration)
}

// message carries one message through: read, open, handle, seal, write.
func (c *serverConn) message() error {
	c.state.CompareAndSwap(connActive, connIdle)
	if c.srv.closed.Load() {
		return ErrServerClosed
	}
	c.awaitUntil(time.Now())
	switch err := c.wire.first(); {
	case errors.Is(err, io.EOF):
		return errClosedByClient
	case errors.Is(err, os.ErrDeadlineExceeded) && c.rests():
		return errRests
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errIdle
	case errors.Is(err, syscall.ECONNRESET): // it left without reading its response
		return errClosedByClient
	case err != nil:
		return fmt.Errorf("waiting for a message: %w", err)
	}
	if !c.state.CompareAndSwap(connIdle, connActive) {
		return ErrServerClosed
	}
	c.stays = false
	now := time.Now()
	if size, _ := c.session.frameSize(c.wire.buf.b[:c.wire.n]); size != c.wire.n {
		c.setReadBy(now.Add(c.srv.messageTimeout()))
	}
	frame, err := c.wire.rest(c.session)
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	response, err := c.respond(frame, now)
	if err != nil {
		return err
	}
	var last error // why no further message is taken
	switch {
	case c.session.spent():
		last = errSpent
	case c.srv.draining.Load():
		last = ErrServerClosed
	}
	if last == nil {
		err = c.wire.write(response, c.srv.writeTimeout())
	} else {
		c.session.close() // first: the client resumes once it sees the end
		err = c.wire.writeLast(response, c.srv.writeTimeout())
	}
	c.response.release()
	if err != nil {
		return fmt.Errorf("writing a response: %w", err)
	}
	return last
}

// rests reports whether the connection rests when no message comes.
func (c *serverConn) rests() bool {
	return canRest && !c.stays && c.socket.detaches() && c.srv.idleTimeout() > 2*c.srv.restAfter()
}

// rest drops what can be made anew, and has the connection rest. It reports whether it
// does: from then on it isn't the caller's.
func (c *serverConn) rest() bool {
	if err := c.socket.detach(); err != nil {
		return false // it was closed, or there is no descriptor left
	}
	c.session.rest()
	c.roundTrip, c.wire = nil, nil
	c.readBy = c.readBy.Add(c.srv.idleTimeout() - c.srv.restAfter())
	if !c.srv.lot.park(c) {
		c.attach()
		return false
	}
	return true
}

// attach ends a rest.
func (c *serverConn) attach() {
	c.socket.attach()
	c.wire, c.readBy = newWire(c.conn, c.mem), time.Time{}
}

// wake carries messages again after a rest.
func (c *serverConn) wake() {
	c.attach()
	c.run()
}

// expire ends the connection after a rest.
func (c *serverConn) expire() {
	c.attach()
	c.end(errIdle)
}

// awaitUntil sets the deadline for the first byte of a message. A connection that
// rests waits up to a second longer before it does: to set a deadline costs as much
// as to decrypt a short message.
func (c *serverConn) awaitUntil(now time.Time) {
	if !c.rests() {
		c.setReadBy(now.Add(c.srv.idleTimeout()))
	} else if rest := c.srv.restAfter(); c.readBy.Before(now.Add(rest)) || c.readBy.After(now.Add(2*rest)) {
		c.setReadBy(now.Add(2 * rest))
	}
}

func (c *serverConn) setReadBy(t time.Time) {
	c.readBy = t
	c.conn.SetReadDeadline(t)
}

// respond opens a frame, calls the handler, and returns the sealed response,
// which is valid until the response is released. It releases the request's
// buffer.
func (c *serverConn) respond(frame []byte, now time.Time) ([]byte, error) {
	body, err := c.session.open(frame)
	if err != nil {
		return nil, fmt.Errorf("opening a message: %w", err)
	}
	if c.roundTrip == nil {
		c.roundTrip = newRoundTrip(c)
	}
	c.markUsed(now)
	c.srv.slots.busy(now)
	if err := c.response.begin(); err != nil {
		return nil, err
	}
	c.request.Body, c.request.Count = body, int(c.messages.Add(1))
	err = c.handle()
	c.request.Body = nil
	c.wire.release()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHandler, err)
	}
	return c.response.seal()
}

// markUsed has the session's key promoted with the first message, and lets the
// store know that the session is used.
func (c *serverConn) markUsed(now time.Time) {
	if c.pending != nil && c.srv.promoteBeside(c) {
		c.pending = nil
	}
	if c.srv.toucher != nil && now.Sub(c.touched) >= TouchInterval {
		c.touched = now
		c.srv.toucher.Touch(c.token)
	}
}

// handle calls the handler.
func (c *serverConn) handle() error {
	defer func() { // after a panic too
		if c.request.ctx != nil {
			if c.request.ctx.end() {
				c.readBy = time.Time{} // the watch has changed it
			}
			c.request.ctx = nil
		}
	}()
	return c.srv.Handler.ServeMegaki(&c.response, &c.request)
}

// closeIfIdle closes the connection unless a message is in flight.
func (c *serverConn) closeIfIdle() {
	if c.state.CompareAndSwap(connIdle, connClosed) {
		c.socket.close()
	}
}
