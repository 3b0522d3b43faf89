package upstream

import (
	"crypto/tls"
	"io"
	"net"
	"time"

	"mkd/proxy/roundtrip"
	"mkd/rawio"
)

// conn is a connection to the server. Its Read and Write are those of the
// socket, within the time that the round trip allows; HTTP is spoken over stream.
type conn struct {
	net.Conn               // the socket
	stream   io.ReadWriter // the conn itself, or TLS over it
	tls      *tls.Conn     // nil: none

	address string // of the server
	version int64  // of the server's addresses when this one was among them

	rt        *roundTrip // in flight; nil: none
	deadlines roundtrip.Deadlines
	ended     bool // the socket has no more to read
	reused    bool
	born      time.Time

	raw     *rawio.Conn // the socket; nil: quiet can't look
	probing bool        // Read doesn't wait
	peeked  [1]byte     // for quiet; a local variable would be allocated
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, born: time.Now(), raw: rawio.New(nc)}
	c.stream = c
	if c.raw != nil {
		c.Conn = c.raw
	}
	return c
}

// Read reads from the socket.
func (c *conn) Read(p []byte) (n int, err error) {
	switch {
	case c.probing:
		n, err = c.raw.TryRead(p)
	case c.rt != nil:
		n, err = c.rt.Receive(p)
	default:
		n, err = c.Conn.Read(p)
	}
	if err == io.EOF {
		c.ended = true
	}
	return n, err
}

// Write writes to the socket.
func (c *conn) Write(p []byte) (int, error) {
	if c.rt != nil {
		return c.rt.Transmit(p, c.rt.isShort())
	}
	return c.Conn.Write(p)
}

// quiet reports, without waiting, whether an idle connection is open and has
// nothing to be read. One that the server has closed, or on which it has sent
// something unasked, can't be used. With TLS it processes session tickets and the
// like, which a server may send at any time.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return false
	}
	c.probing = true
	n, err := c.stream.Read(c.peeked[:])
	c.probing = false
	return n == 0 && err == rawio.ErrNothing
}

// Discard implements roundtrip.Conn. With TLS it announces the end.
func (c *conn) Discard() {
	if c.tls != nil {
		c.tls.Close()
	}
	c.Conn.Close()
}
