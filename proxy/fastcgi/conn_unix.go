//go:build unix

package fastcgi

import "syscall"

// quiet reports, without waiting, whether an idle connection is open and has
// nothing to be read. One that the server has closed, or on which it has sent
// something unasked, can't be used.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return false
	}
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		var p [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err == syscall.EINTR {
				continue
			}
			quiet = err == syscall.EAGAIN
			return true
		}
	})
	return err == nil && quiet
}
