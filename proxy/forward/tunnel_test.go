package forward

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// halfConn is an end of a tunnel that can be half-closed.
type halfConn struct{ net.Conn }

func (halfConn) CloseWrite() error { return nil }

// TestTunnelOfAClientThatIsGone: what the origin still sent doesn't keep a tunnel open for
// an hour.
func TestTunnelOfAClientThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, atClient := net.Pipe()
		origin, atOrigin := net.Pipe()
		go io.Copy(io.Discard, atClient)
		go func() {
			time.Sleep(tunnelRest / 2)
			io.WriteString(atOrigin, "last words")
		}()
		begin := time.Now()
		join(halfConn{client}, bytes.NewReader(nil), halfConn{origin}) // the client's stream ends at once
		if took := time.Since(begin); took != tunnelRest/2+tunnelRest {
			t.Errorf("it was open for %v", took)
		}
	})
}

// TestTunnelThatIsSilent is closed after tunnelIdle.
func TestTunnelThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, atClient := net.Pipe()
		origin, atOrigin := net.Pipe()
		go io.Copy(io.Discard, atOrigin)
		go func() {
			time.Sleep(tunnelIdle / 2)
			io.WriteString(atClient, "a message")
		}()
		begin := time.Now()
		join(halfConn{client}, client, halfConn{origin})
		if took := time.Since(begin); took != tunnelIdle/2+tunnelIdle {
			t.Errorf("it was open for %v", took)
		}
	})
}
