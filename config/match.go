package config

import (
	"net/textproto"
	"reflect"
	"slices"
	"strings"
)

// Takes reports whether a route may match requests that arrive at a listener with
// a payload, http or raw, apart from its other conditions.
func (r *Route) Takes(listener string, payload Payload) bool {
	return r.takes(traffic{listener, payload})
}

func (r *Route) takes(t traffic) bool {
	if len(r.Match.Listeners) > 0 && !slices.Contains(r.Match.Listeners, t.listener) {
		return false
	}
	if t.payload == PayloadRaw {
		return r.payload() == PayloadRaw || r.Raw != nil && !r.Match.aboutHTTP()
	}
	return r.payload() == PayloadHTTP
}

// payload returns the payload that matches the route. The default is http.
func (r *Route) payload() Payload {
	if r.Match.Payload == "" {
		return PayloadHTTP
	}
	return r.Match.Payload
}

// aboutHTTP reports whether there are conditions that no raw message can match.
func (m *Match) aboutHTTP() bool {
	return m.PathRegexp != "" || len(m.Hosts)+len(m.Paths)+len(m.Query)+len(m.Methods)+len(m.Headers) > 0 || m.Not != nil
}

// maxCompared bounds how many pairs of conditions are compared, since each route is
// compared with all above it. Files that people write stay below it. So many take
// less than a second.
const maxCompared = 5_000_000

// coverage finds routes that can't match, because others above them match all
// that they would. It may miss some.
type coverage struct{ left int } // of maxCompared

// before reports whether one of the routes matches all of the traffic t that m
// matches.
func (c *coverage) before(routes []Route, t traffic, m *Match) bool {
	for i := range routes {
		r := &routes[i]
		own := &r.Match
		c.left -= 1 + len(own.Listeners) + len(own.Hosts)*len(m.Hosts) + len(own.Paths)*len(m.Paths) +
			len(own.Methods)*len(m.Methods) + len(own.From)*len(m.From) + len(own.Headers)*len(m.Headers)
		if c.left < 0 {
			return false
		}
		if r.takes(t) && own.covers(m) {
			return true
		}
	}
	return false
}

// covers reports whether m matches all that other matches, apart from listeners
// and payloads. It may report false although m does.
func (m *Match) covers(other *Match) bool {
	paths := other.Paths
	if len(paths) == 0 {
		paths = []string{"/*"}
	}
	return coversAll(m.Hosts, other.Hosts, hostCovers) &&
		coversAll(m.Paths, paths, pathCovers) &&
		coversAll(m.Methods, other.Methods, func(a, b string) bool { return a == b }) &&
		coversAll(m.From, other.From, networkCovers) &&
		(m.PathRegexp == "" || m.PathRegexp == other.PathRegexp) &&
		valuesCover(m.Query, other.Query, func(name string) string { return name }) &&
		valuesCover(m.Headers, other.Headers, textproto.CanonicalMIMEHeaderKey) &&
		(m.Not == nil || reflect.DeepEqual(m.Not, other.Not))
}

// coversAll reports whether each of others is covered by one of own. An empty list
// is no condition.
func coversAll(own, others []string, covers func(a, b string) bool) bool {
	if len(own) == 0 {
		return true
	}
	if len(others) == 0 {
		return false
	}
	for _, b := range others {
		if !slices.ContainsFunc(own, func(a string) bool { return covers(a, b) }) {
			return false
		}
	}
	return true
}

func hostCovers(a, b string) bool {
	below, wild := strings.CutPrefix(a, "*")
	return a == b || wild && strings.HasSuffix(b, below)
}

func pathCovers(a, b string) bool {
	switch {
	case a == b, a == "/*":
		return true
	case strings.HasPrefix(a, "*"):
		return strings.HasSuffix(b, a[1:])
	case strings.HasSuffix(a, "*"):
		return strings.HasPrefix(b, a[:len(a)-1]) || b == a[:len(a)-2]
	}
	return false
}

// pathsMeet reports whether a path may match both patterns.
func pathsMeet(a, b string) bool {
	if strings.HasPrefix(a, "*") || strings.HasPrefix(b, "*") {
		return strings.HasSuffix(a, "*") || strings.HasSuffix(b, "*") || strings.HasPrefix(a, "*") && strings.HasPrefix(b, "*") || pathCovers(a, b) || pathCovers(b, a)
	}
	return pathCovers(a, b) || pathCovers(b, a)
}

func networkCovers(a, b string) bool {
	p, q := Network(a), Network(b)
	return p.Bits() <= q.Bits() && p.Contains(q.Addr())
}

// valuesCover reports whether others has all that own asks for. same returns the one
// form of a name.
func valuesCover(own, others map[string]string, same func(string) string) bool {
	for name, value := range own {
		found := false
		for other, its := range others {
			found = found || same(other) == same(name) && (value == "*" || value == its)
		}
		if !found {
			return false
		}
	}
	return true
}
