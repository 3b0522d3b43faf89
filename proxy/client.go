package proxy

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"mkd/proxy/httpmsg"
)

// hopByHop are fields that concern one connection only (RFC 9110, section
// 7.6.1), and those that older software knows as such.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// dropHopByHop takes out what isn't meant for the next hop, and what Connection
// names.
func dropHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// upgradeOf returns the protocols that a header asks to change to (RFC 9110,
// section 7.8), "" if none. HTTP/2 without TLS isn't one: requests in it would get
// past all that is decided here.
func upgradeOf(h http.Header) string {
	for _, line := range h["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if protocols := strings.Join(h["Upgrade"], ", "); strings.EqualFold(textproto.TrimString(option), "upgrade") && !strings.Contains(strings.ToLower(protocols), "h2c") {
				return protocols
			}
		}
	}
	return ""
}

// identify finds out who asks, and leaves nothing in the header that a client
// could have forged: the one place where this is decided.
func (g *gate) identify(x *exchange, r *http.Request) {
	h := r.Header
	if x.message == nil && r.ProtoMajor == 1 && r.ProtoMinor > 0 {
		x.upgrade = upgradeOf(h)
	}
	trusted := contains(g.trusted, x.peer.Addr())
	var chain []string // of the proxies behind the client, itself included
	if trusted {
		x.client, chain = g.walk(x.peer, h["X-Forwarded-For"])
	}
	proto, host, session := strings.ToLower(h.Get("X-Forwarded-Proto")), h.Get("X-Forwarded-Host"), h["X-Megaki-Session"]
	dropHopByHop(h)
	for name := range h {
		if name == "Proxy" || name == "Http2-Settings" || strings.ContainsAny(name, "_.") || !trusted && forgeable(name) {
			delete(h, name)
		}
	}
	if trusted && (proto == "http" || proto == "https") {
		x.secure = proto == "https"
	}
	setForwarded(x, r)
	if !trusted {
		return
	}
	h["X-Forwarded-For"] = []string{strings.Join(append(chain, x.peer.Addr().String()), ", ")}
	if _, err := httpmsg.CleanHost(host); err == nil {
		h["X-Forwarded-Host"] = []string{host}
	}
	if session != nil && x.session == nil {
		h["X-Megaki-Session"] = session
	}
}

// forgeable reports whether a field tells who asks, which only a proxy knows.
func forgeable(name string) bool {
	return name == "Forwarded" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Megaki-")
}

// walk goes through the addresses of X-Forwarded-For from the right, past those
// of trusted proxies, to the client's. What stands to the left of it may be
// forged. chain is what was passed, from the client on.
func (g *gate) walk(peer netip.AddrPort, lines []string) (client netip.AddrPort, chain []string) {
	entries := strings.Split(strings.Join(lines, ","), ",")
	client = peer
	for _, entry := range slices.Backward(entries) {
		a, ok := forwardedAddr(textproto.TrimString(entry))
		if !ok {
			break
		}
		client = a
		chain = append(chain, a.Addr().String())
		if !contains(g.trusted, a.Addr()) {
			break
		}
	}
	slices.Reverse(chain)
	return client, chain
}

// forwardedAddr reads an address with or without a port.
func forwardedAddr(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), 0), true
	}
	a, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), err == nil
}

// setForwarded tells the origin who asks.
func setForwarded(x *exchange, r *http.Request) {
	h := r.Header
	h["X-Forwarded-For"] = []string{x.client.Addr().String()}
	proto := "http"
	if x.secure {
		proto = "https"
	}
	h["X-Forwarded-Proto"] = []string{proto}
	if r.Host != "" {
		h["X-Forwarded-Host"] = []string{r.Host}
	}
	if x.session != nil {
		h["X-Megaki-Session"] = []string{x.session.String()}
	}
}
