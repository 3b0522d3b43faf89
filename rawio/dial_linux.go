package rawio

import (
	"net"
	"os"
	"syscall"
	"unsafe"
)

// DialUnix connects to a unix socket of the file system, or to an abstract one whose
// name begins with @. It never waits: a socket takes a connection at once, or refuses it
// because its queue is full (syscall.EAGAIN). Errors are as with net.DialUnix.
//
// It makes two system calls fewer than net.DialUnix, which asks for both addresses, and
// like reading and writing here it doesn't wake the scheduler's monitor.
func DialUnix(path string) (net.Conn, error) {
	fd, errno := connectUnix(path)
	if errno != 0 {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: unixAddr(path), Err: os.NewSyscallError("connect", errno)}
	}
	return New(unixConn{fileConn{os.NewFile(fd, path)}}), nil
}

// connectUnix returns a connected socket that doesn't block.
func connectUnix(path string) (fd uintptr, errno syscall.Errno) {
	a := syscall.RawSockaddrUnix{Family: syscall.AF_UNIX}
	if path == "" || len(path) >= len(a.Path) {
		return 0, syscall.EINVAL
	}
	for i := range len(path) {
		a.Path[i] = int8(path[i])
	}
	size := unsafe.Offsetof(a.Path) + uintptr(len(path)) + 1 // with the NUL at the end
	if path[0] == '@' {
		a.Path[0] = 0
		size-- // an abstract name has none
	}
	fd, _, errno = syscall.RawSyscall(syscall.SYS_SOCKET, syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return 0, errno
	}
	_, _, errno = syscall.RawSyscall(syscall.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&a)), size)
	if errno != 0 {
		syscall.Close(int(fd))
	}
	return fd, errno
}

// unixConn is a connection that DialUnix has made.
type unixConn struct{ fileConn }

func (unixConn) LocalAddr() net.Addr    { return unixAddr("") }
func (c unixConn) RemoteAddr() net.Addr { return unixAddr(c.Name()) }

func unixAddr(name string) *net.UnixAddr { return &net.UnixAddr{Name: name, Net: "unix"} }
