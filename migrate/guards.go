package migrate

import (
	"slices"
)

// guarded gives a route what serves the requests of a location. It returns the route,
// behind those that refuse some clients or need no password.
func (m *migration) guarded(s *site, l *location, r *route) []*route {
	routes, denied := m.guards(l.scope, r)
	passing := slices.ContainsFunc(routes, func(g *route) bool { return g.passes })
	if denied && !passing {
		r.refuse()
		return append(routes, r)
	}
	before := m.serve(s, l, r)
	m.options(s, l, r)
	if passing {
		routes = append(before, routes...)
	} else {
		routes = append(routes, before...)
	}
	for _, g := range routes {
		if g.passes {
			g.action, g.options.entries, g.serves, g.onlyFiles = r.action, slices.Clone(r.options.entries), r.serves, r.onlyFiles
		}
	}
	if denied {
		r.refuse()
	}
	if len(r.free) > 0 && r.options.get("auth") != nil {
		free := *r
		free.comments, free.match.from = nil, r.free
		free.options.remove("auth")
		routes = append(routes, &free)
	}
	return append(routes, r)
}

// guards returns the routes of allow and deny, in front of r: those that refuse clients,
// and where r has a not already, those that pass to what r has. denied reports that r
// itself refuses all that is left.
func (m *migration) guards(within *scope, r *route) (routes []*route, denied bool) {
	any := within.word("satisfy") == "any" && within.word("auth_basic") != "" && within.word("auth_basic") != "off"
	g := guard{base: r.match}
	for _, d := range nearestOf(within, "allow", "deny") {
		who := last(d.Args)
		switch {
		case who == "all" && d.Name == "allow":
			return g.end(), false
		case who == "all" && any:
			r.free = g.allowed
			return g.end(), false
		case who == "all":
			return g.denyRest()
		case !isNetwork(who):
			r.comments = append(r.comments, m.comment(d, "from has addresses and networks"))
		case d.Name == "allow":
			g.allow(networks([]string{who}))
		default:
			g.deny(networks([]string{who}))
		}
	}
	return g.end(), false
}

// guard turns rules of allow and deny, of which the first counts that has the client,
// into routes.
type guard struct {
	base    match // of the requests that the rules are about
	routes  []*route
	refused []string // since the last allow
	before  []string // allowed before these
	allowed []string
	passed  int // how many of allowed have a route that passes
}

func (g *guard) allow(from []string) {
	g.flush()
	g.allowed = append(g.allowed, from...)
	g.before = slices.Clone(g.allowed)
}

func (g *guard) deny(from []string) { g.refused = append(g.refused, from...) }

// flush makes the route that refuses the clients of the last denies, but for those that
// were allowed before.
func (g *guard) flush() {
	if len(g.refused) == 0 {
		return
	}
	c := g.base
	c.from = g.refused
	if first := overlapping(g.before, g.refused); len(first) > 0 && c.not.empty() {
		c.not.from = first
	} else if len(first) > 0 {
		g.pass()
	}
	g.routes, g.refused = append(g.routes, refuse(c)), nil
}

// pass makes the route of the clients that were allowed so far.
func (g *guard) pass() {
	if from := g.allowed[g.passed:]; len(from) > 0 {
		c := g.base
		c.from, g.passed = from, len(g.allowed)
		g.routes = append(g.routes, &route{match: c, passes: true})
	}
}

func (g *guard) end() []*route {
	g.flush()
	return g.routes
}

// denyRest ends the rules with deny all.
func (g *guard) denyRest() (routes []*route, denied bool) {
	g.flush()
	c := g.base
	switch {
	case len(g.allowed) == 0:
		return g.routes, true
	case !c.not.empty():
		g.pass()
		return g.routes, true
	}
	c.not.from = g.allowed
	return append(g.routes, refuse(c)), false
}

// refuse returns a route that refuses requests.
func refuse(c match) *route {
	r := &route{match: c}
	r.refuse()
	return r
}

// refuse has a route refuse its requests, and do nothing else.
func (r *route) refuse() {
	*r = route{comments: r.comments, match: r.match, action: entry{key: "respond", value: flowOf("status", 403)}}
}

// overlapping returns those networks that have an address in common with one of others.
func overlapping(list, others []string) (found []string) {
	for _, a := range list {
		if slices.ContainsFunc(others, func(b string) bool { return network(a).Overlaps(network(b)) }) {
			found = append(found, a)
		}
	}
	return found
}
