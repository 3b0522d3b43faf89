package listen

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mkd/rawio"
)

// conn is a connection that has a header to be read, or is counted. A header is
// read from the socket up to its last byte, so there is never a buffer: after the
// header, conn is its socket.
type conn struct {
	tcp    *net.TCPConn
	io     net.Conn // reads and writes on it
	header *header  // nil: none is expected

	slot   *slot // nil: the connection is not counted
	closed atomic.Bool
}

func newConn(tcp *net.TCPConn) *conn {
	c := &conn{tcp: tcp, io: tcp}
	if raw := rawio.New(tcp); raw != nil {
		c.io = raw
	}
	return c
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
	return c.io.Read(p)
}

// Write waits for the header, too: before it the client isn't known.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	return c.io.Write(p)
}

// ReadFrom lets the kernel send files.
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
	if c.slot != nil {
		c.slot.release()
	}
	return err
}

// Detach closes the connection here, and returns a descriptor of it that is the
// caller's: what package megaki does with a connection that rests. The connection counts
// until closed is called, once; it may be nil.
func (c *conn) Detach() (fd int, closed func(), err error) {
	if err := c.ready(); err != nil {
		return -1, nil, err
	}
	fd, err = rawio.Detach(c.tcp)
	if err != nil {
		return -1, nil, err
	}
	if c.closed.Swap(true) { // meanwhile
		unix.Close(fd)
		return -1, nil, net.ErrClosed
	}
	if c.slot == nil {
		return fd, nil, nil
	}
	return fd, c.slot.release, nil
}

func (c *conn) LocalAddr() net.Addr { return c.tcp.LocalAddr() }

// RemoteAddr waits for the header, and returns the client's address.
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

// Unbuffered marks that SyscallConn reads the same bytes as Read, which a type that
// embeds a socket may not do.
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
