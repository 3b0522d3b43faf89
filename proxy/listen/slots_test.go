package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

const greedy = "127.0.0.3"

// serve accepts connections until the listener is closed. It writes the address
// of its client to each, and keeps it.
func serve(t *testing.T, l net.Listener) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				if _, err := io.WriteString(c, host+"\n"); err != nil {
					c.Close()
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

// isServed reports whether a connection is served rather than closed.
func isServed(t *testing.T, c net.Conn) bool {
	t.Helper()
	var line [64]byte
	n, err := c.Read(line[:])
	if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("neither served nor closed: %v", err)
	}
	return n > 0
}

// open opens n connections, each with a header, and returns how many are
// served.
func open(t *testing.T, from string, l net.Listener, n int, header string) (served int) {
	t.Helper()
	for range n {
		if isServed(t, dial(t, from, l, header)) {
			served++
		}
	}
	return served
}

// TestOneAddressCannotTakeAllConnections: 1,000 silent connections of one
// address took all of max_connections.
func TestOneAddressCannotTakeAllConnections(t *testing.T) {
	var log logBuffer
	l := start(t, Options{MaxConnections: 40, Logger: log.logger()})
	serve(t, l)
	if n := open(t, greedy, l, 60, ""); n != 30 {
		t.Errorf("one address has %d connections of 40, want 75 %%", n)
	}
	for i := range 10 {
		if n := open(t, fmt.Sprintf("127.0.1.%d", i+1), l, 1, ""); n != 1 {
			t.Fatalf("quiet client %d of 10 is not served", i+1)
		}
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "client="+greedy) {
		t.Errorf("the log has %q, want one line", text)
	}
}

// TestSlotsComeBack: what closed connections held can be had again.
func TestSlotsComeBack(t *testing.T) {
	l := start(t, Options{MaxConnections: 4, MaxConnectionsPerIP: 3})
	for range 20 {
		var open []net.Conn
		for range 3 {
			c := dial(t, other, l, "")
			open = append(open, accept(t, l), c)
		}
		for _, c := range open {
			c.Close()
		}
	}
	p := l.(*Listener).slots
	if p.pool.InUse() != 0 || p.pool.Clients() != 0 || p.used != 0 {
		t.Errorf("%d in use by %d clients, %d slots", p.pool.InUse(), p.pool.Clients(), p.used)
	}
}

func TestMaxConnectionsPerIP(t *testing.T) {
	for _, most := range []int{0, 100} {
		l := start(t, Options{MaxConnections: most, MaxConnectionsPerIP: 2})
		serve(t, l)
		if n := open(t, greedy, l, 5, ""); n != 2 {
			t.Errorf("of %d: one address has %d connections, want 2", most, n)
		}
		if n := open(t, other, l, 1, ""); n != 1 {
			t.Errorf("of %d: another is not served", most)
		}
	}
}

// TestTrustedProxyIsExempt: behind a proxy that sends no PROXY header are many
// clients.
func TestTrustedProxyIsExempt(t *testing.T) {
	exempt := []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.3/128")}
	l := start(t, Options{MaxConnections: 12, MaxConnectionsPerIP: 2, Exempt: exempt})
	serve(t, l)
	if n := open(t, greedy, l, 12, ""); n != 12 {
		t.Errorf("a trusted proxy has %d connections of 12", n)
	}
}

// TestClientsBehindAProxyHaveShares: the address of a PROXY header counts, not
// the proxy's.
func TestClientsBehindAProxyHaveShares(t *testing.T) {
	var log logBuffer
	l := start(t, Options{MaxConnections: 40, ProxyProtocol: proxies, Logger: log.logger()})
	serve(t, l)
	header := func(client string) string { return "PROXY TCP4 " + client + " 5.6.7.8 9 443\r\n" }
	if n := open(t, proxy, l, 40, header("192.0.2.1")); n != 30 {
		t.Errorf("one client has %d connections of 40", n)
	}
	for i := range 6 {
		if n := open(t, proxy, l, 1, header(fmt.Sprintf("198.51.100.%d", i))); n != 1 {
			t.Fatalf("quiet client %d behind the proxy is not served", i)
		}
	}
	if n := open(t, proxy, l, 2, "PROXY UNKNOWN\r\n"); n != 2 {
		t.Errorf("%d of 2 connections of the proxy itself are served", n)
	}
	if text := log.String(); !strings.Contains(text, "client=192.0.2.1") {
		t.Errorf("the log has %q", text)
	}
}

// TestConfigure: a listener at its limit accepts when the limit is raised, and the
// connections that are open count for the new limits.
func TestConfigure(t *testing.T) {
	l := start(t, Options{MaxConnections: 2}).(*Listener)
	serve(t, l)
	if n := open(t, greedy, l, 1, "") + open(t, other, l, 1, ""); n != 2 {
		t.Fatalf("%d of 2 are served", n)
	}
	waiting := dial(t, "127.0.0.5", l, "")
	if err := l.Configure(Options{MaxConnections: 8, MaxConnectionsPerIP: 1}); err != nil {
		t.Fatal(err)
	}
	if !isServed(t, waiting) {
		t.Error("the connection that waited isn't served")
	}
	if n := open(t, greedy, l, 1, ""); n != 0 {
		t.Error("a client has more than the new max_connections_per_ip")
	}
	if l.Configure(Options{MaxConnections: -1}) == nil {
		t.Error("a negative limit is taken")
	}
}

// TestFromFile: a connection that waits for the old listener is served by the one
// that takes its socket over.
func TestFromFile(t *testing.T) {
	old := start(t, Options{}).(*Listener)
	dial(t, other, old, "")
	f, err := old.File()
	if err != nil {
		t.Fatal(err)
	}
	l, err := FromFile(f, Options{MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stat(); err != nil || f.Fd() == 0 { // as package os/exec asks
		t.Errorf("%v", err)
	}
	f.Close()
	accept(t, old).Close()
	accepting := make(chan error)
	go func() {
		_, err := old.Accept()
		accepting <- err
	}()
	time.Sleep(50 * time.Millisecond) // so that it waits
	old.Close()
	if err := <-accepting; err == nil {
		t.Error("a closed listener accepts")
	}
	waiting := dial(t, other, l, "")
	serve(t, l)
	if !isServed(t, waiting) {
		t.Error("the connection that waited isn't served")
	}
	if n := open(t, other, l, 1, ""); n != 1 || l.Addr().String() != old.Addr().String() {
		t.Errorf("%d connections are served at %v, which was %v", n, l.Addr(), old.Addr())
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := FromFile(file, Options{}); err == nil {
		t.Error("a file is taken for a socket")
	}
}
