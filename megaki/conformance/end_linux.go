package conformance

import (
	"encoding/binary"
	"net"
	"syscall"
	"time"
)

// States of a connection (include/net/tcp_states.h).
const (
	established = 1
	finWait1    = 4 // the FIN isn't acknowledged
)

// waitForEnd waits until the peer's system has acknowledged the FIN, at most 5 s.
func waitForEnd(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		state := byte(0)
		raw.Control(func(fd uintptr) {
			// The state is the first byte of struct tcp_info.
			info, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
			if err == nil {
				state = binary.NativeEndian.AppendUint32(nil, uint32(info))[0]
			}
		})
		if state != established && state != finWait1 {
			return
		}
	}
}
