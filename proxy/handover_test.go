package proxy

import (
	"net"
	"strings"
	"testing"
)

// TestSocketsOfSystemd: a listener has the socket of its name, whatever its address. A
// socket whose name no listener has was closed without a word, and the port refused
// connections.
func TestSocketsOfSystemd(t *testing.T) {
	l := listenTCP(t)
	socket := func(name string) Socket {
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		return Socket{Listener: name, File: f}
	}
	p, log := startWith(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:1"}}}
routes: [{respond: {body: hello}}]
`), []Socket{socket("mkd.socket"), socket("web")})
	if got := p.Addr("web").String(); got != l.Addr().String() {
		t.Errorf("web listens on %s, and its socket on %s", got, l.Addr())
	}
	text := awaitLog(t, log, `"name":"mkd.socket"`)
	if n := strings.Count(text, "isn't used"); n != 1 {
		t.Errorf("the log has %d sockets that aren't used", n)
	}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
