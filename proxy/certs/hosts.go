package certs

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// hosts are the names that clients of a listener may ask for, as in TLS: lower
// case, ASCII, without a final dot.
type hosts struct {
	list []string
	set  map[string]bool
}

func newHosts(names []string) (*hosts, error) {
	h := &hosts{set: make(map[string]bool)}
	for _, given := range names {
		name, err := hostname(given)
		if err != nil {
			return nil, err
		}
		if h.set[name] {
			return nil, fmt.Errorf("host %s is a duplicate", given)
		}
		h.list, h.set[name] = append(h.list, name), true
	}
	return h, nil
}

// hostname returns the canonical form of a name, a wildcard or an IP address.
func hostname(given string) (string, error) {
	if addr, err := netip.ParseAddr(given); err == nil && addr.Zone() == "" {
		return addr.Unmap().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(given, "."))
	domain, wildcard := strings.CutPrefix(name, "*.")
	domain, err := idna.Punycode.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("host %q: %w", given, err)
	}
	if !isDomain(domain) {
		return "", fmt.Errorf("host %q isn't a host name", given)
	}
	if wildcard {
		return "*." + domain, nil
	}
	return domain, nil
}

// isDomain reports whether s, in lower case, is labels of letters, digits,
// hyphens and underscores (RFC 1035, section 2.3.4, has the lengths).
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// choose returns the name whose certificate a client gets that asks for serverName,
// and reports whether it may ask for it.
func (h *hosts) choose(serverName string) (string, bool) {
	name := strings.ToLower(serverName)
	if len(h.list) == 0 { // the names in the certificates
		return name, true
	}
	if name == "" {
		return h.list[0], true
	}
	return name, h.has(name)
}

// has reports whether a name is one of the list, or one of its wildcards takes it.
func (h *hosts) has(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return h.set[name] || h.set["*."+parent]
}

// isAddress reports whether a host is an IP address.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
