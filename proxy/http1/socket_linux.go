package http1

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketOf returns the socket below a connection, nil if there is none.
func socketOf(c net.Conn) syscall.RawConn {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = over.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// waitClosed waits until the peer has closed its side of a connection, or the server
// has closed the connection, and reports true then. It takes no byte of the stream. It
// reports false when the read deadline passes or ended is closed.
func waitClosed(socket syscall.RawConn, ended <-chan struct{}) bool {
	if err := socket.Read(func(fd uintptr) bool { return !wouldBlock(int(fd)) }); err != nil {
		return errors.Is(err, net.ErrClosed)
	}
	// There are bytes, or the end. Behind bytes, as another request or the alert
	// that ends TLS, the end can only be asked for.
	for pause := 10 * time.Millisecond; !hungUp(socket); pause = min(2*pause, time.Second) {
		select {
		case <-ended:
			return false
		case <-time.After(pause):
		}
	}
	return true
}

// wouldBlock reports whether a socket has nothing to read.
func wouldBlock(fd int) bool {
	var p [1]byte
	for {
		_, _, err := unix.Recvfrom(fd, p[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return err == unix.EAGAIN
		}
	}
}

// hungUp reports whether the peer has closed its side.
func hungUp(socket syscall.RawConn) (closed bool) {
	err := socket.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		closed = err == nil && n > 0
	})
	return err != nil || closed
}
