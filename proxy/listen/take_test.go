package listen

import (
	"net/netip"
	"testing"
)

// TestTake: connections of another socket count for the same bounds, and are refused
// rather than kept waiting.
func TestTake(t *testing.T) {
	l, err := Listen(Options{Address: "127.0.0.1:0", MaxConnections: 4, MaxConnectionsPerIP: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one, two, three := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	take := func(addr netip.Addr, want bool) func() {
		t.Helper()
		release, ok := l.Take(addr)
		if ok != want {
			t.Fatalf("%v: %v, want %v", addr, ok, want)
		}
		return release
	}
	first := take(one, true)
	take(one, true)
	take(one, false) // its own bound
	take(two, true)
	if open, refused := l.Status(); open != 3 || refused != 1 {
		t.Errorf("%d open, %d refused", open, refused)
	}
	first()
	take(one, true)
	take(three, true)
	take(two, false) // that of all
	if open, refused := l.Status(); open != 4 || refused != 2 {
		t.Errorf("%d open, %d refused", open, refused)
	}
}
