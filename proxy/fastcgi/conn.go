package fastcgi

import (
	"net"

	"mkd/proxy/roundtrip"
	"mkd/rawio"
)

// conn is a connection to a server.
type conn struct {
	net.Conn
	raw       *rawio.Conn // the socket; nil: quiet can't look
	deadlines roundtrip.Deadlines
	peeked    [1]byte // for quiet; a local variable would be allocated
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, raw: rawio.New(nc)}
	if c.raw != nil {
		c.Conn = c.raw
	}
	return c
}

// quiet reports, without waiting, whether an idle connection is open and has
// nothing to be read. One that the server has closed, or on which it has sent
// something unasked, can't be used.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return false
	}
	_, err := c.raw.TryRead(c.peeked[:])
	return err == rawio.ErrNothing
}

// Discard implements roundtrip.Conn.
func (c *conn) Discard() { c.Conn.Close() }
