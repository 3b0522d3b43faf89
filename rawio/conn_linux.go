package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Conn is a socket. Reading, writing, deadlines and errors are as with the net.Conn
// that it wraps. Its methods may be called by several goroutines at a time.
type Conn struct {
	net.Conn
	raw      syscall.RawConn
	out, in  half
	tryToGet func(fd uintptr) // in.call, without waiting
}

// half is one direction of a connection. Its functions are made once, since they
// are called for each request.
type half struct {
	mu    sync.Mutex
	call  func(fd uintptr) (done bool)
	p     []byte // the argument of call
	n     int    // its results
	errno syscall.Errno
}

// New returns a socket with raw system calls. It returns nil if c is no socket.
func New(c net.Conn) *Conn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	x := &Conn{Conn: c, raw: raw}
	x.in.call = func(fd uintptr) bool {
		x.in.n, x.in.errno = call(syscall.SYS_RECVFROM, fd, x.in.p, syscall.MSG_DONTWAIT)
		return x.in.errno != syscall.EAGAIN
	}
	x.tryToGet = func(fd uintptr) { x.in.call(fd) }
	x.out.call = func(fd uintptr) bool {
		for x.out.n < len(x.out.p) {
			n, errno := call(syscall.SYS_SENDTO, fd, x.out.p[x.out.n:], syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
			if errno == syscall.EAGAIN {
				return false
			}
			if x.out.errno = errno; errno != 0 {
				return true
			}
			x.out.n += n
		}
		return true
	}
	return x
}

// call makes a system call that doesn't block.
func call(number, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// Read reads what has come, at least a byte, as net.Conn does.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.p = p[:min(len(p), Most)]
	err := c.raw.Read(c.in.call)
	return c.received(err)
}

// TryRead reads what has come. If that is nothing, it doesn't wait, whatever the
// deadline: the error is ErrNothing.
func (c *Conn) TryRead(p []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.p = p
	err := c.raw.Control(c.tryToGet)
	if err == nil && c.in.errno == syscall.EAGAIN {
		err = ErrNothing
	}
	return c.received(err)
}

// received returns what a Read returns after a call, which has failed with err.
func (c *Conn) received(err error) (int, error) {
	c.in.p = nil
	switch {
	case err == ErrNothing:
		return 0, err
	case err != nil:
		return 0, c.failed("read", err)
	case c.in.errno != 0:
		return 0, c.failed("read", os.NewSyscallError("read", c.in.errno))
	case c.in.n == 0:
		return 0, io.EOF
	}
	return c.in.n, nil
}

// Write writes all of p, as net.Conn does.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) > Most {
		return c.Conn.Write(p)
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.p, c.out.n, c.out.errno = p, 0, 0
	err := c.raw.Write(c.out.call)
	c.out.p = nil
	switch {
	case err != nil:
		return c.out.n, c.failed("write", err)
	case c.out.errno != 0:
		return c.out.n, c.failed("write", os.NewSyscallError("write", c.out.errno))
	}
	return c.out.n, nil
}

// failed returns an error as package net does.
func (c *Conn) failed(op string, err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err // of raw-read or raw-write
	}
	local := c.Conn.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: c.Conn.RemoteAddr(), Err: err}
}

// SyscallConn returns the socket.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// ReadFrom lets the kernel send files.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if w, ok := c.Conn.(io.ReaderFrom); ok {
		return w.ReadFrom(r)
	}
	return io.Copy(writer{c}, r)
}

// CloseWrite ends what is written.
func (c *Conn) CloseWrite() error {
	if s, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return s.CloseWrite()
	}
	return errors.ErrUnsupported
}

// writer hides other methods.
type writer struct{ io.Writer }
