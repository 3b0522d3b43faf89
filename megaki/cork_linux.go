package megaki

import "syscall"

// cork makes the kernel keep the last bytes that are written until the stream is closed
// (TCP_CORK of tcp(7)).
func cork(raw syscall.RawConn) {
	raw.Control(func(fd uintptr) {
		// A socket that doesn't know it does without.
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1)
	})
}
