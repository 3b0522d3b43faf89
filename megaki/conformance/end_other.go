//go:build !linux

package conformance

import (
	"net"
	"time"
)

// waitForEnd gives the end of the connection time to reach the peer.
func waitForEnd(*net.TCPConn) { time.Sleep(50 * time.Millisecond) }
