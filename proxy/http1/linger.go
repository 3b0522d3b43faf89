package http1

import (
	"io"
	"net"
	"time"
)

// Bounds of what is read from a client after a response that closes the
// connection.
const (
	lingerSize    = 64 << 20         // bytes
	lingerTime    = 30 * time.Second // in all
	lingerSilence = 5 * time.Second  // between two reads
)

// linger closes the connection in stages (RFC 9112, section 9.6): it ends
// its own stream, and reads what the client still sends, within
// a bound. If the socket were closed with bytes unread, the kernel would reset
// the connection, and the client could lose the response.
func (c *conn) linger() {
	if !c.state.CompareAndSwap(busy, waiting) { // Shutdown needn't wait for it
		return
	}
	if c.server.draining.Load() {
		return
	}
	plain := c.net
	if half, ok := plain.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	if over, ok := plain.(interface{ NetConn() net.Conn }); ok { // TLS: what comes needn't be decrypted
		plain = over.NetConn()
		if half, ok := plain.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}
	buf := c.out.scratch()
	until := time.Now().Add(lingerTime)
	for left := lingerSize; left > 0; {
		now := time.Now()
		if !now.Before(until) {
			return
		}
		plain.SetReadDeadline(sooner(until, now.Add(lingerSilence)))
		n, err := io.ReadAtLeast(plain, buf[:min(left, len(buf))], 1)
		if err != nil {
			return
		}
		left -= n
	}
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
