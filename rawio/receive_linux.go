package rawio

import "syscall"

// Receive receives what has come to a socket that doesn't block: syscall.EAGAIN if that
// is nothing, 0 bytes at the end of the stream. p has [Most] bytes at most.
func Receive(fd uintptr, p []byte) (int, syscall.Errno) {
	n, errno := transfer(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
	afterRead()
	return n, errno
}
