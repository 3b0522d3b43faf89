package listen

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection that has a header to be read, or is counted. A header is
// read from the socket to its last byte and not beyond, so there is never a
// buffer between the two: after the header, conn is its socket.
type conn struct {
	tcp    *net.TCPConn
	header *header // nil: none is due

	place  *place // nil: the connection is not counted
	closed atomic.Bool
}

// ready returns when the header has been read.
func (c *conn) ready() error {
	if c.header == nil {
		return nil
	}
	return c.header.read()
}

func (c *conn) Read(p []byte) (int, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	return c.tcp.Read(p)
}

// Write waits for the header, too: before it there is nobody to write to.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	return c.tcp.Write(p)
}

// ReadFrom has the kernel send files, where it can.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	return c.tcp.ReadFrom(r)
}

func (c *conn) CloseWrite() error { return c.tcp.CloseWrite() }

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	err := c.tcp.Close()
	if c.place != nil {
		c.place.release()
	}
	return err
}

func (c *conn) LocalAddr() net.Addr { return c.tcp.LocalAddr() }

// RemoteAddr is the client's address. Until the header has come, it waits.
func (c *conn) RemoteAddr() net.Addr {
	if c.ready() == nil && c.header != nil && c.header.client != nil {
		return c.header.client
	}
	return c.tcp.RemoteAddr()
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	if c.header == nil {
		return c.tcp.SetReadDeadline(t)
	}
	return c.header.setReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error { return c.tcp.SetWriteDeadline(t) }

// SyscallConn returns the socket. It doesn't wait, but the socket's Read and
// Write do, for the header.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.tcp.SyscallConn()
	if err != nil || c.header == nil {
		return raw, err
	}
	return rawConn{RawConn: raw, conn: c}, nil
}

// Unbuffered says that what can be read by SyscallConn is what can be read by
// Read, which isn't so of whatever embeds a socket.
func (c *conn) Unbuffered() {}

// rawConn is the socket of a connection that has a header to be read first.
type rawConn struct {
	syscall.RawConn
	conn *conn
}

func (r rawConn) Read(f func(fd uintptr) bool) error {
	if err := r.conn.ready(); err != nil {
		return err
	}
	return r.RawConn.Read(f)
}

func (r rawConn) Write(f func(fd uintptr) bool) error {
	if err := r.conn.ready(); err != nil {
		return err
	}
	return r.RawConn.Write(f)
}
