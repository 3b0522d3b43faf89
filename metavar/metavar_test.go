package metavar

import (
	"net/netip"
	"testing"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]struct{ ambiguous, hidden bool }{
		"": {}, "Content-Type": {}, "X-1!": {}, "Proxy-Status": {}, "proxies": {},
		"Content_Type": {true, true}, "_": {true, true}, "X.Y": {true, true},
		"Proxy": {false, true}, "PROXY": {false, true},
	} {
		if Ambiguous(name) != want.ambiguous || Hidden(name) != want.hidden {
			t.Errorf("%q: ambiguous %v, hidden %v", name, Ambiguous(name), Hidden(name))
		}
	}
}

func TestServerName(t *testing.T) {
	for _, c := range []struct{ host, local, want string }{
		{"example.org", "127.0.0.1", "example.org"},
		{"example.org:8080", "127.0.0.1", "example.org"},
		{"[::1]:80", "127.0.0.1", "[::1]"},
		{"[::1]", "127.0.0.1", "[::1]"},
		{"", "127.0.0.1", "127.0.0.1"},
		{"", "2001:db8::1", "[2001:db8::1]"},
		{":80", "", "localhost"},
	} {
		var local netip.Addr
		if c.local != "" {
			local = netip.MustParseAddr(c.local)
		}
		if got := ServerName(c.host, local); got != c.want {
			t.Errorf("%q at %q: %q, want %q", c.host, c.local, got, c.want)
		}
	}
}

func TestAddress(t *testing.T) {
	for given, want := range map[string]string{"127.0.0.1:1": "127.0.0.1:1", "[::ffff:127.0.0.1]:1": "127.0.0.1:1", "[fe80::1%eth0]:2": "[fe80::1]:2"} {
		if got := Address(netip.MustParseAddrPort(given)); got.String() != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	if Address(netip.AddrPort{}).IsValid() {
		t.Error("no address has become one")
	}
}
