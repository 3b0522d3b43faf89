package backend

import (
	"net"
	"net/http"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"

	"mkd/proxy/request"
	"mkd/proxy/roundtrip"
	"mkd/share"
)

func proxyVersion(s string) byte {
	switch s {
	case "v1":
		return 1
	case "v2":
		return 2
	}
	return 0
}

// send sends a request of a client. With the PROXY protocol it has a connection of its
// own, so that no client's requests pass for those of another.
func (s *server) send(r *request.Request, out *http.Request, h http.Header, e roundtrip.Events) (*http.Response, error) {
	switch {
	case s.http2 != nil:
		return s.http2.Do(out, h, e)
	case s.proxy == 0:
		return s.DoFor(share.Network(r.Counted()), nil, out, h, e)
	}
	header, err := proxyHeader(s.proxy, r.Client, r.Local)
	if err != nil {
		return nil, err
	}
	return s.DoFor(share.Network(r.Counted()), header, out, h, e)
}

// RoundTrip implements http.RoundTripper for health checks.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case s.http2 != nil:
		return s.http2.RoundTrip(r)
	case s.proxy == 0:
		return s.Check(nil, r)
	}
	header, err := proxyHeader(s.proxy, netip.AddrPort{}, netip.AddrPort{})
	if err != nil {
		return nil, err
	}
	return s.Check(header, r)
}

// proxyHeader returns the header of the PROXY protocol for a client's connection to
// local. That of a client that isn't known is for a connection of mkd itself.
func proxyHeader(version byte, client, local netip.AddrPort) ([]byte, error) {
	h := &proxyproto.Header{Version: version, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	if client.IsValid() {
		client, local = unmap(client), unmap(local)
		h.Command, h.TransportProtocol = proxyproto.PROXY, proxyproto.TCPv6
		none := netip.IPv6Unspecified()
		if client.Addr().Is4() {
			h.TransportProtocol, none = proxyproto.TCPv4, netip.IPv4Unspecified()
		}
		if local.Addr().Is4() != client.Addr().Is4() || !local.IsValid() { // trusted proxies may report a client of the other family
			local = netip.AddrPortFrom(none, local.Port())
		}
		h.SourceAddr, h.DestinationAddr = net.TCPAddrFromAddrPort(client), net.TCPAddrFromAddrPort(local)
	}
	return h.Format()
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
