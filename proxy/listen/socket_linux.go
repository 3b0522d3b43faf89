package listen

import "syscall"

// notSentLowWater is how many bytes the kernel takes beyond what is on its way
// to a client. Without it, it takes some megabytes, and then nothing more until a
// third of them has gone: a client that reads slowly but steadily would look as
// if it took no byte for minutes.
const notSentLowWater = 128 << 10

// tcpNotSentLowWater is TCP_NOTSENT_LOWAT of tcp(7).
const tcpNotSentLowWater = 25

// control sets options of a listening socket, which its connections inherit.
func control(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		// A kernel that doesn't know it does without.
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowWater, notSentLowWater)
	})
}
