package rawio

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Detach closes a socket, and returns another descriptor of it, which is the caller's:
// the connection stays open, and takes no memory here. Nobody may be reading from it or
// writing to it. If Detach fails, c is as it was.
func Detach(c net.Conn) (fd int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd = -1
	failed := raw.Control(func(old uintptr) {
		dup, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		if errno != 0 {
			err = os.NewSyscallError("fcntl", errno)
			return
		}
		fd = int(dup)
	})
	if err = errors.Join(failed, err); err != nil {
		return -1, err
	}
	if err := c.Close(); err != nil { // another goroutine has closed it
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Attach makes a connection of a descriptor from Detach, which is the connection's from
// then on.
func Attach(fd int) *Conn {
	return New(bareConn{fileConn{os.NewFile(uintptr(fd), "socket")}})
}

// fileConn is a socket that package os reads and writes.
type fileConn struct{ *os.File }

// CloseWrite ends what is written.
func (c fileConn) CloseWrite() error {
	return c.control("shutdown", func(fd int) error { return syscall.Shutdown(fd, syscall.SHUT_WR) })
}

// control calls f, which makes a system call.
func (c fileConn) control(name string, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = os.NewSyscallError(name, f(int(fd))) })
	return errors.Join(err, failed)
}

// bareConn is a connection that Attach has made. It asks the system for its addresses,
// which are for errors.
type bareConn struct{ fileConn }

func (c bareConn) LocalAddr() net.Addr  { return c.address("getsockname", syscall.Getsockname) }
func (c bareConn) RemoteAddr() net.Addr { return c.address("getpeername", syscall.Getpeername) }

func (c bareConn) address(name string, get func(fd int) (syscall.Sockaddr, error)) net.Addr {
	var a syscall.Sockaddr
	c.control(name, func(fd int) (err error) {
		a, err = get(fd)
		return err
	})
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *syscall.SockaddrInet6:
		zone := ""
		if a.ZoneId != 0 {
			zone = strconv.Itoa(int(a.ZoneId))
		}
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zone}
	case *syscall.SockaddrUnix:
		return unixAddr(a.Name)
	}
	return &net.TCPAddr{} // it is closed, or the peer has gone
}
