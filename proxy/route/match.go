package route

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"mkd/config"
	"mkd/proxy/request"
	"mkd/share"
)

// match is what a route asks of a request. What is empty asks for nothing.
type match struct {
	hosts   []string // example.org, or .example.org for all below
	paths   *paths   // nil: any
	loose   *paths   // of a guard: the same in the form of httpmsg.LoosePath
	guard   bool     // names of parameters that are the same to PHP are the same
	both    bool     // of what a guard leaves out: a path must match in both forms, a query in both readings
	query   []valueMatch
	methods []string
	headers []valueMatch
	from    []netip.Prefix
	not     *match // nil: none
}

// valueMatch asks for a field or a parameter of a name; * is any value.
type valueMatch struct{ name, value string }

// newMatch returns the conditions of a route. Those of a guard match more paths, and
// leave out fewer, see guards.
func newMatch(c *config.Match, guard bool) *match {
	m := newConditions(&c.Conditions)
	m.guard = guard
	if guard && m.paths != nil {
		m.loose = m.paths.loosen()
	}
	if c.Not != nil {
		m.not = newConditions(c.Not)
		if m.not.both = guard; guard && m.not.paths != nil {
			m.not.loose = m.not.paths.loosen()
		}
	}
	return m
}

func newConditions(c *config.Conditions) *match {
	m := &match{paths: newPaths(c), methods: c.Methods, from: networks(c.From)}
	for _, h := range c.Hosts {
		m.hosts = append(m.hosts, strings.TrimPrefix(h, "*"))
	}
	for name, value := range c.Query {
		m.query = append(m.query, valueMatch{name, value})
	}
	for name, value := range c.Headers {
		m.headers = append(m.headers, valueMatch{http.CanonicalHeaderKey(name), value})
	}
	return m
}

func networks(list []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, s := range list {
		prefixes = append(prefixes, config.Network(s))
	}
	return prefixes
}

// all reports whether all conditions hold for a request.
func (m *match) all(r *request.Request, loose *loosePath) bool {
	return m.host(r.Host) && m.path(r, loose) && m.method(r.Method) && m.header(r.Header) && m.client(r.Client.Addr()) &&
		m.parameters(r.URL.RawQuery) && (m.not == nil || !m.not.all(r, loose))
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

func (m *match) path(r *request.Request, loose *loosePath) bool {
	switch {
	case m.paths == nil:
		return true
	case m.loose == nil:
		return m.paths.match(r.Path)
	case m.both:
		return m.paths.match(r.Path) && m.loose.match(loose.of(r.Path))
	}
	return m.paths.match(r.Path) || m.loose.match(loose.of(r.Path))
}

// parameters reports whether the query has the parameters that are asked for. Of what a
// guard leaves out, package net/url must find them too, as servers in Go do.
func (m *match) parameters(query string) bool {
	var given url.Values
	if m.both && len(m.query) > 0 {
		given, _ = url.ParseQuery(query)
	}
	for _, want := range m.query {
		values := given[want.name]
		if !want.isIn(query, m.guard) || m.both && (len(values) == 0 || want.value != "*" && !slices.Contains(values, want.value)) {
			return false
		}
	}
	return true
}

// isIn reports whether a query has a parameter, as PHP and most servers read it: & is
// between two of them, and a broken escape is text. Package net/url would drop one with a
// broken escape or a semicolon, and a guard wouldn't see it. A guard also takes the names
// that are the same to PHP.
func (v *valueMatch) isIn(query string, guard bool) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name = unescapeQuery(name)
		if (name == v.name || guard && nameInPHP(name) == nameInPHP(v.name)) && (v.value == "*" || unescapeQuery(value) == v.value) {
			return true
		}
	}
	return false
}

// nameInPHP returns the name that a parameter has in $_GET: "debug" for " debug",
// "debug[x]" and "debug%00", "a_b" for "a.b".
func nameInPHP(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
	if i := strings.IndexByte(name, '['); i > 0 && strings.IndexByte(name[i:], ']') > 0 {
		name = name[:i]
	}
	return underscores.Replace(name)
}

var underscores = strings.NewReplacer(" ", "_", ".", "_", "[", "_")

// unescapeQuery decodes a part of a query. Broken escapes stay.
func unescapeQuery(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	var b strings.Builder
	for s != "" {
		n := 1
		if s[0] == '%' && len(s) >= 3 {
			n = 3
		}
		decoded, err := url.QueryUnescape(s[:n])
		if err != nil {
			n, decoded = 1, s[:1]
		}
		b.WriteString(decoded)
		s = s[n:]
	}
	return b.String()
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
