package http1

import (
	"io"
	"net"
	"time"
)

// Bounds of what is read from a client after a response that closes the
// connection.
const (
	LingerSize    = 64 << 20         // bytes
	LingerTime    = 30 * time.Second // in all
	LingerSilence = 5 * time.Second  // between two reads
	// lingerDraining is what is left of LingerTime once the server shuts down.
	lingerDraining = time.Second
)

// linger closes the connection in stages (RFC 9112, section 9.6): it ends
// its own stream, and reads what the client still sends, within
// a bound. If the socket were closed with bytes unread, the kernel would reset
// the connection, and the client could lose the response.
func (c *conn) linger() {
	c.state.Store(lingering)
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
	defer c.out.release()
	until, draining := time.Now().Add(LingerTime), false
	for left := LingerSize; left > 0; {
		now := time.Now()
		if !now.Before(until) {
			return
		}
		plain.SetReadDeadline(sooner(until, now.Add(LingerSilence)))
		if !draining && c.server.draining.Load() { // in this order, see drain
			draining, until = true, sooner(until, now.Add(lingerDraining))
			continue
		}
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
