package route

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mkd/config"
	"mkd/proxy/request"
	"mkd/share"
)

// match is what a route asks of a request. What is empty asks for nothing.
type match struct {
	hosts   []string // example.org, or .example.org for all below
	exact   []string
	below   []string // ends with /
	suffix  []string
	methods []string
	headers []headerMatch
	from    []netip.Prefix
}

type headerMatch struct{ name, value string } // * is any value

func newMatch(c *config.Match) (m match) {
	for _, h := range c.Hosts {
		m.hosts = append(m.hosts, strings.TrimPrefix(h, "*"))
	}
	for _, p := range c.Paths {
		switch {
		case strings.HasPrefix(p, "*"):
			m.suffix = append(m.suffix, p[1:])
		case strings.HasSuffix(p, "*"):
			m.below = append(m.below, p[:len(p)-1])
		default:
			m.exact = append(m.exact, p)
		}
	}
	m.methods = c.Methods
	for name, value := range c.Headers {
		m.headers = append(m.headers, headerMatch{http.CanonicalHeaderKey(name), value})
	}
	m.from = networks(c.From)
	return m
}

func networks(list []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range list {
		prefixes = append(prefixes, config.Network(s))
	}
	return prefixes
}

func (m *match) all(r *request.Request) bool {
	return m.host(r.Host) && m.path(r.Path) && m.method(r.Method) && m.header(r.Header) && m.client(r.Client.Addr())
}

func (m *match) host(host string) bool {
	if len(m.hosts) == 0 {
		return true
	}
	for _, h := range m.hosts {
		if h == host || h[0] == '.' && len(host) > len(h) && strings.HasSuffix(host, h) {
			return true
		}
	}
	return false
}

func (m *match) path(path string) bool {
	if len(m.exact)+len(m.below)+len(m.suffix) == 0 {
		return true
	}
	return slices.Contains(m.exact, path) ||
		slices.ContainsFunc(m.below, func(p string) bool { return strings.HasPrefix(path, p) }) ||
		slices.ContainsFunc(m.suffix, func(s string) bool { return strings.HasSuffix(path, s) })
}

func (m *match) method(method string) bool {
	return len(m.methods) == 0 || slices.Contains(m.methods, method)
}

func (m *match) header(h http.Header) bool {
	for _, want := range m.headers {
		values := h[want.name]
		if len(values) == 0 || want.value != "*" && !slices.Contains(values, want.value) {
			return false
		}
	}
	return true
}

func (m *match) client(a netip.Addr) bool {
	return len(m.from) == 0 || share.Contains(m.from, a)
}
