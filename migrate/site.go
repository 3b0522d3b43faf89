package migrate

import (
	"slices"
	"strings"

	"mkd/migrate/nginxconf"
)

// site is a server block.
type site struct {
	d         *nginxconf.Directive
	scope     *scope
	listeners []*listener
	hosts     []string // none: all
	comments  []string
	locations []*location
}

// fallback reports whether the site gets the requests of its listeners whose host no
// other has.
func (s *site) fallback() bool {
	return len(s.listeners) > 0 && !slices.ContainsFunc(s.listeners, func(l *listener) bool { return l.sites[0] != s })
}

// defaults returns the listeners on which it does, but for those that redirect.
func (s *site) defaults() (names []string) {
	for _, l := range s.listeners {
		if l.sites[0] == s && !l.redirect {
			names = append(names, l.name)
		}
	}
	return names
}

// compareHosts sorts sites as routes must be: first those with names alone, then those
// with wildcards, the longest first, and last those of hosts that no other has.
func compareHosts(a, b *site) int {
	rank := func(s *site) (last, wildcard int) {
		if s.fallback() || len(s.hosts) == 0 {
			return 1, 0
		}
		for _, host := range s.hosts {
			if strings.HasPrefix(host, "*.") {
				wildcard = max(wildcard, len(host))
			}
		}
		return 0, wildcard
	}
	lastA, wildA := rank(a)
	lastB, wildB := rank(b)
	switch {
	case lastA != lastB:
		return lastA - lastB
	case wildA == 0 || wildB == 0:
		return wildA - wildB
	}
	return wildB - wildA
}

// exceptions returns the hosts that a wildcard of the site would take from sites whose
// routes come later, and which have them more exactly.
func (s *site) exceptions(later []*site) (hosts []string) {
	for _, other := range later {
		if !slices.ContainsFunc(other.listeners, func(l *listener) bool { return slices.Contains(s.listeners, l) }) {
			continue
		}
		for _, host := range other.hosts {
			wider := func(w string) bool {
				return strings.HasPrefix(w, "*.") && len(w) < len(host)+1 && w != host && strings.HasSuffix(host, w[1:])
			}
			if slices.ContainsFunc(s.hosts, wider) && !slices.Contains(s.hosts, host) && !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// serverNames reads the names of a server.
func (m *migration) serverNames(s *site) {
	for _, d := range s.scope.here("server_name") {
		for _, name := range d.Args {
			name = strings.ToLower(name)
			switch {
			case name == "_" || name == "" || name == "localhost" && len(d.Args) == 1 && s.fallback():
			case strings.HasPrefix(name, "~"), strings.Contains(name[1:], "*"), name == "*":
				s.comments = append(s.comments, m.comment(d, "a host is a name, or *. and a name: "+name))
			case strings.HasPrefix(name, "."):
				s.hosts = append(s.hosts, name[1:], "*"+name)
			default:
				s.hosts = append(s.hosts, name)
			}
		}
	}
}

// listenerHost is a host of a listener.
type listenerHost struct {
	l    *listener
	host string
}

// dropTaken drops the hosts that servers before this one have on all of its listeners, as
// nginx does.
func (s *site) dropTaken(taken map[listenerHost]bool) {
	s.hosts = slices.DeleteFunc(s.hosts, func(host string) bool {
		free := false
		for _, l := range s.listeners {
			free = free || !taken[listenerHost{l, host}]
			taken[listenerHost{l, host}] = true
		}
		return !free && len(s.listeners) > 0
	})
}

// routes returns the routes of all servers: those that other hosts fall back to last.
func (m *migration) routes(sites []*site, listeners []*listener) []*route {
	taken := make(map[listenerHost]bool)
	for _, s := range sites {
		m.serverNames(s)
		s.dropTaken(taken)
	}
	m.redirects(listeners)
	serving := slices.Clone(sites)
	serving = slices.DeleteFunc(serving, func(s *site) bool { return s.redirects() && m.allRedirect(s) })
	for _, s := range serving {
		if hasContents(s.scope.own) {
			m.sites++
		}
	}
	slices.SortStableFunc(serving, compareHosts)
	var all, rest []*route
	for i, s := range serving {
		made := m.site(s, listeners, serving[i+1:], len(serving) > 1)
		all = append(all, made...)
		if s.fallback() || len(s.hosts) == 0 || len(s.defaults()) == 0 {
			continue
		}
		for _, r := range made { // once more, for hosts that no other server has
			again := r.withoutComments()
			again.match.hosts, again.match.not.hosts, again.match.listeners = nil, nil, s.defaults()
			rest = append(rest, again)
		}
	}
	all = append(all, rest...)
	if len(all) == 0 {
		all = append(all, &route{comments: []string{"all requests are redirected by the listener"}, action: entry{key: "respond", value: flowOf("status", 404)}})
	}
	return all
}

// hasContents reports whether directives need a backend.
func hasContents(all []*nginxconf.Directive) bool {
	return slices.ContainsFunc(all, func(d *nginxconf.Directive) bool {
		return d.Name == "root" || d.Name == "alias" || strings.HasSuffix(d.Name, "_pass") || hasContents(d.Block)
	})
}

// redirects reports whether a server does nothing but lead to HTTPS.
func (s *site) redirects() bool {
	for _, d := range s.scope.own {
		switch d.Name {
		case "listen", "server_name", "access_log", "error_log", "server_tokens", "include":
		case "return":
			if !leadsToHTTPS(d, s) {
				return false
			}
		case "location":
			// Only what all paths have, or what mkd does by itself.
			acme := strings.HasPrefix(last(d.Args), "/.well-known/acme-challenge")
			if !acme && (last(d.Args) != "/" || len(d.Block) != 1 || d.Block[0].Name != "return" || !leadsToHTTPS(d.Block[0], s)) {
				return false
			}
		default:
			if !needless(d) {
				return false
			}
		}
	}
	return slices.ContainsFunc(s.scope.own, func(d *nginxconf.Directive) bool {
		return d.Name == "return" || d.Name == "location" && last(d.Args) == "/"
	})
}

// leadsToHTTPS reports whether a return leads to the same address with https.
func leadsToHTTPS(d *nginxconf.Directive, s *site) bool {
	if len(d.Args) != 2 || !slices.Contains([]string{"301", "302", "307", "308"}, d.Arg(0)) {
		return false
	}
	host, ok := strings.CutPrefix(d.Arg(1), "https://")
	host, uri := strings.CutSuffix(host, "$request_uri")
	names := args(s.scope.here("server_name"))
	return ok && uri && (host == "$host" || host == "$http_host" || host == "$server_name" && len(names) == 1 || len(s.scope.here("server_name")) == 1 && len(s.scope.here("server_name")[0].Args) == 1 && host == names[0])
}

// redirects lets the listeners redirect whose servers all do so.
func (m *migration) redirects(listeners []*listener) {
	for _, l := range listeners {
		l.redirect = !l.secure && !slices.ContainsFunc(l.sites, func(s *site) bool { return !s.redirects() })
		if !l.redirect {
			continue
		}
		for _, s := range l.sites {
			l.comments = append(l.comments, s.comments...)
			s.comments = nil
			for _, d := range s.scope.own {
				switch {
				case d.Name == "return" && d.Arg(0) != "308":
					l.comments = append(l.comments, m.note(d, "the status is 308, with which a POST stays one"))
				case d.Name == "location" && strings.HasPrefix(last(d.Args), "/.well-known/acme-challenge"):
					l.comments = append(l.comments, m.note(d, "needless once mkd gets certificates by itself; see tls: {acme: ...}"))
				case d.Name == "location":
					l.comments = append(l.comments, m.note(d, "the status is 308, with which a POST stays one"))
				}
				m.done[d] = true
			}
		}
	}
}

// allRedirect reports whether all listeners of a server redirect by themselves.
func (m *migration) allRedirect(s *site) bool {
	return !slices.ContainsFunc(s.listeners, func(l *listener) bool { return !l.redirect })
}

// site returns the routes of a server: one around all of them if they have something in
// common.
func (m *migration) site(s *site, listeners []*listener, later []*site, several bool) []*route {
	if s.fallback() && s.refusesAll() {
		m.unmoved = append(m.unmoved, m.note(s.scope.here("return")[0], "requests for hosts that no route has get 404"))
		m.unmoved = append(m.unmoved, append(s.comments, s.scope.leftovers()...)...)
		return nil
	}
	s.readLocations(m)
	outer := &route{}
	if several && !s.fallback() {
		outer.match.hosts, outer.match.not.hosts = s.hosts, s.exceptions(later)
		if outer.match.listeners = s.defaults(); len(s.hosts) == 0 && len(outer.match.listeners) == 0 {
			m.unmoved = append(m.unmoved, append(s.comments, m.comment(s.d, "it has no name that a route can match, and isn't the default server"))...)
			return nil
		}
	}
	if len(s.hosts) > 0 || s.fallback() {
		outer.match.listeners = s.among(listeners, several)
	}
	inner := m.siteRoutes(s)
	outer.comments = append(s.comments, s.scope.leftovers()...)
	outer.lift(inner)
	if len(inner) > 0 && outer.match.empty() && len(outer.options.entries) == 0 {
		inner[0].comments = append(outer.comments, inner[0].comments...)
		return inner
	}
	if len(inner) == 1 && inner[0].match.empty() && len(inner[0].inside) == 0 {
		one := inner[0]
		one.match, one.comments = outer.match, append(outer.comments, one.comments...)
		one.options.entries = append(outer.options.entries, one.options.entries...)
		return []*route{one}
	}
	outer.inside = inner
	return []*route{outer}
}

// among returns the names of the site's listeners if there are others, too.
func (s *site) among(listeners []*listener, several bool) (names []string) {
	open := slices.DeleteFunc(slices.Clone(listeners), func(l *listener) bool { return l.redirect })
	if several && len(s.listeners) < len(open) {
		for _, l := range s.listeners {
			names = append(names, l.name)
		}
	}
	return names
}

// refusesAll reports whether a server only closes connections.
func (s *site) refusesAll() bool {
	returns := s.scope.here("return")
	return len(returns) == 1 && len(returns[0].Args) == 1 && returns[0].Arg(0) == "444" &&
		!slices.ContainsFunc(s.scope.own, func(d *nginxconf.Directive) bool { return d.Name == "location" })
}

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}
