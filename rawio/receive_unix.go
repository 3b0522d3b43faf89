//go:build unix && !linux

package rawio

import "syscall"

// Receive receives what has come to a socket that doesn't block: syscall.EAGAIN if that
// is nothing, 0 bytes at the end of the stream.
func Receive(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(int(fd), p)
		errno, _ := err.(syscall.Errno)
		if errno != syscall.EINTR {
			return n, errno
		}
	}
}
