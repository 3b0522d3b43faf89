package fastcgi

import (
	"net"
	"syscall"
	"time"
)

// conn is a connection to a server.
type conn struct {
	net.Conn
	raw    syscall.RawConn // nil: it can't be looked at
	expiry *time.Timer     // closes it when it has been idle; nil at first
	since  time.Time       // when it became idle
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc}
	if s, ok := nc.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn()
	}
	return c
}

func (c *conn) close() { c.Conn.Close() }
