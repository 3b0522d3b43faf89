package backend

import (
	"bufio"
	"bytes"
	"net/netip"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
)

func TestProxyHeader(t *testing.T) {
	for _, c := range []struct{ client, local, v1, destination string }{
		{"192.0.2.1:1234", "198.51.100.1:80", "PROXY TCP4 192.0.2.1 198.51.100.1 1234 80\r\n", "198.51.100.1:80"},
		{"[::ffff:192.0.2.1]:1234", "[::ffff:198.51.100.1]:80", "PROXY TCP4 192.0.2.1 198.51.100.1 1234 80\r\n", "198.51.100.1:80"},
		{"[2001:db8::1]:1234", "[2001:db8::2]:443", "PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n", "[2001:db8::2]:443"},
		{"[2001:db8::1]:0", "198.51.100.1:443", "PROXY TCP6 2001:db8::1 :: 0 443\r\n", "[::]:443"},
		{"192.0.2.1:0", "[2001:db8::2]:443", "PROXY TCP4 192.0.2.1 0.0.0.0 0 443\r\n", "0.0.0.0:443"},
		{"192.0.2.1:1", "", "PROXY TCP4 192.0.2.1 0.0.0.0 1 0\r\n", "0.0.0.0:0"},
		{"", "", "PROXY UNKNOWN\r\n", ""},
	} {
		var client, local netip.AddrPort
		if c.client != "" {
			client = netip.MustParseAddrPort(c.client)
		}
		if c.local != "" {
			local = netip.MustParseAddrPort(c.local)
		}
		if got, err := proxyHeader(1, client, local); string(got) != c.v1 || err != nil {
			t.Errorf("%s: %q, %v", c.client, got, err)
		}
		got, err := proxyHeader(2, client, local)
		if err != nil {
			t.Fatal(err)
		}
		h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(got)))
		if err != nil {
			t.Fatalf("%s: %x: %v", c.client, got, err)
		}
		if c.client == "" {
			if h.Command != proxyproto.LOCAL {
				t.Errorf("%+v", h)
			}
			continue
		}
		if want := unmap(client).String(); h.SourceAddr.String() != want || h.DestinationAddr.String() != c.destination {
			t.Errorf("%v to %v, want %s to %s", h.SourceAddr, h.DestinationAddr, want, c.destination)
		}
	}
}
