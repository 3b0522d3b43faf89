// Package metavar has the rules by which a request becomes meta-variables (RFC 3875,
// section 4.1), which PHP shows in $_SERVER: they are the same whichever way a script is
// reached.
package metavar

import (
	"net/netip"
	"strings"
)

// Ambiguous reports whether a field's name has a character that CGI and PHP take for
// another one: _ and . become what - does, so that two names are one.
func Ambiguous(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '_' || c == '.' {
			return true
		}
	}
	return false
}

// Hidden reports whether a script doesn't see a field, whatever its value: its name is
// Ambiguous, or it is Proxy, since HTTP_PROXY means something else to many libraries
// (CVE-2016-5385).
func Hidden(name string) bool {
	return strings.EqualFold(name, "Proxy") || Ambiguous(name)
}

// ServerName returns SERVER_NAME (RFC 3875, section 4.1.14) for a Host field, which may be
// empty, and the address where the request came in, which may be invalid.
func ServerName(host string, local netip.Addr) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	switch {
	case host != "":
		return host
	case local.Is6():
		return "[" + local.String() + "]"
	case local.IsValid():
		return local.String()
	}
	return "localhost"
}

// Address returns an address as applications compare it: an IPv4 address is in its own
// form, and there is no zone.
func Address(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
