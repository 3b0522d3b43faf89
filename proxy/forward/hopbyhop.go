package forward

import (
	"net/http"
	"net/textproto"
	"strings"

	"mkd/httpfield"
)

// hopByHop reports whether a field concerns one connection only (RFC 9110, section
// 7.6.1), or is treated so by older software.
func hopByHop(name string) bool {
	switch name {
	case "Close", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// DropHopByHop removes the fields that aren't for the next hop, and those that
// Connection names.
func DropHopByHop(h http.Header) {
	dropOptions(h)
	for name := range h {
		if hopByHop(name) {
			delete(h, name)
		}
	}
}

// dropOptions removes the fields that Connection names, but for those that hopByHop
// reports, of which are most.
func dropOptions(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = textproto.TrimString(name); {
			case name == "", strings.EqualFold(name, "keep-alive"), strings.EqualFold(name, "close"):
			default:
				h.Del(name)
			}
		}
	}
}

// upgradeOf returns the protocols that a header asks to change to (RFC 9110,
// section 7.8), "" if none. HTTP/2 without TLS isn't one: requests in it would
// bypass all that is decided here.
func upgradeOf(h http.Header) string {
	if !httpfield.HasItem(h["Connection"], "upgrade") {
		return ""
	}
	protocols := strings.Join(h["Upgrade"], ", ")
	if strings.Contains(strings.ToLower(protocols), "h2c") {
		return ""
	}
	return protocols
}
