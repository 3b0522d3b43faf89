package rawio

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Conn is a socket. Reading, writing, deadlines and errors are as with the net.Conn
// that it wraps. Its methods may be called by several goroutines at a time.
type Conn struct {
	net.Conn
	in, out half
}

// New returns a socket with raw system calls: c itself if it is one. It returns nil if c
// is no socket.
func New(c net.Conn) *Conn {
	if x, ok := c.(*Conn); ok {
		return x
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	x := &Conn{Conn: c}
	x.in.toRead(raw, syscall.SYS_RECVFROM, syscall.MSG_DONTWAIT)
	x.out.toWrite(raw, syscall.SYS_SENDTO, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	return x
}

// Read reads what has come, at least a byte, as net.Conn does.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	n, err := c.in.read(p)
	return n, c.failed("read", err)
}

// TryRead reads what has come. If that is nothing, it doesn't wait, whatever the
// deadline: the error is ErrNothing.
func (c *Conn) TryRead(p []byte) (int, error) {
	n, err := c.in.tryRead(p)
	return n, c.failed("read", err)
}

// Write writes all of p, as net.Conn does.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) > Most {
		n, err := c.Conn.Write(p)
		return n, c.failed("write", err)
	}
	n, err := c.out.write(p)
	return n, c.failed("write", err)
}

// failed returns an error as package net does.
func (c *Conn) failed(op string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *net.OpError:
		err = e.Err // of raw-read, raw-write or a long write
	case *fs.PathError:
		err = e.Err // of a long write to a socket of DialUnix
	}
	switch e, isErrno := err.(syscall.Errno); {
	case isErrno:
		err = os.NewSyscallError(op, e)
	case err == io.EOF || err == ErrNothing:
		return err
	case err == os.ErrClosed || isFileClosed(err): // the socket is of DialUnix
		err = net.ErrClosed
	}
	local := c.Conn.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: c.Conn.RemoteAddr(), Err: err}
}

// SyscallConn returns the socket.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.in.raw, nil }

// ReadFrom lets the kernel send files.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if w, ok := c.Conn.(io.ReaderFrom); ok {
		return w.ReadFrom(r)
	}
	return io.Copy(writer{c}, r)
}

// writer hides other methods.
type writer struct{ io.Writer }

// CloseWrite ends what is written.
func (c *Conn) CloseWrite() error {
	if s, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return s.CloseWrite()
	}
	return errors.ErrUnsupported
}
