package listen

import (
	"syscall"
	"time"
)

// notSentLowWater is how many bytes the kernel takes beyond what is on its way
// to a client. Without it, it takes some megabytes, and then nothing more until a
// third of them has gone: a client that reads slowly but steadily would look as
// if it took no byte for minutes.
const notSentLowWater = 128 << 10

// tcpNotSentLowWater is TCP_NOTSENT_LOWAT of tcp(7).
const tcpNotSentLowWater = 25

// TCP keep-alive: a peer that has sent nothing for keepAliveIdle seconds is asked every
// keepAliveInterval seconds, and gone if it hasn't responded keepAliveCount times. They
// are those of package net.
const (
	keepAliveIdle     = 15
	keepAliveInterval = 15
	keepAliveCount    = 9
)

// keepAlive has package net set nothing for each connection, since control does.
const keepAlive time.Duration = -1

// control sets options of a listening socket, which its connections inherit.
func control(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		for _, option := range []struct{ level, name, value int }{
			{syscall.IPPROTO_TCP, tcpNotSentLowWater, notSentLowWater},
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, keepAliveIdle},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, keepAliveInterval},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAliveCount},
		} {
			// A kernel that doesn't know it does without.
			syscall.SetsockoptInt(int(fd), option.level, option.name, option.value)
		}
	})
}
