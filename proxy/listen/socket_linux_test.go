package listen

import (
	"net"
	"syscall"
	"testing"
)

// TestKeepAlive looks at the options that connections inherit from their listener, and
// at those of one that was handed over.
func TestKeepAlive(t *testing.T) {
	first, err := Listen(Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	plain, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	file, err := Dup(plain.(*net.TCPListener), "plain")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	second, err := FromFile(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for name, l := range map[string]*Listener{"opened": first, "handed over": second} {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for _, option := range []struct {
			name             string
			level, opt, want int
		}{
			{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{"TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, keepAliveIdle},
			{"TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, keepAliveInterval},
			{"TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, keepAliveCount},
			{"TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
			{"TCP_NOTSENT_LOWAT", syscall.IPPROTO_TCP, tcpNotSentLowWater, notSentLowWater},
		} {
			raw.Control(func(fd uintptr) {
				if got, err := syscall.GetsockoptInt(int(fd), option.level, option.opt); err != nil || got != option.want {
					t.Errorf("%s: %s is %d, %v; want %d", name, option.name, got, err, option.want)
				}
			})
		}
	}
}
