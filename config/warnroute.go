package config

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// traffic is what arrives at a listener with a payload.
type traffic struct {
	listener string
	payload  Payload // http or raw
}

// brings returns the traffic of a listener that the routes see.
func (l *Listener) brings() (all []traffic) {
	if l.Megaki == nil {
		if l.redirects() {
			return nil
		}
		return []traffic{{l.Name, PayloadHTTP}}
	}
	for _, p := range []Payload{PayloadHTTP, PayloadRaw} {
		if l.Megaki.Payload == PayloadAuto || l.Megaki.Payload == p {
			all = append(all, traffic{l.Name, p})
		}
	}
	return all
}

// redirects reports whether no route sees the requests of a listener.
func (l *Listener) redirects() bool { return l.HTTP != nil && l.HTTP.RedirectHTTPS }

// warnRoutes warns of routes that can never match, of options without effect, and
// of listeners that no route handles requests from.
func (w *walker) warnRoutes(cfg *Config) {
	var all []traffic
	for i := range cfg.Listeners {
		all = append(all, cfg.Listeners[i].brings()...)
	}
	l := routeLevel{cfg: cfg, taken: make(map[string]bool), coverage: &coverage{left: maxCompared}}
	w.warnLevel(&l, nil, cfg.Routes, all)
	for i := range cfg.Listeners {
		if li := &cfg.Listeners[i]; !l.taken[li.Name] && len(li.brings()) > 0 {
			w.odd(li, "no route handles requests from this listener%s", li.hint())
		}
	}
}

// routeLevel is what all levels of nested routes have in common.
type routeLevel struct {
	cfg      *Config
	taken    map[string]bool // listeners
	coverage *coverage
}

// warnLevel warns of the routes inside of outer, which gets the traffic all; outer
// is nil for those of the file.
func (w *walker) warnLevel(l *routeLevel, outer *Route, routes []Route, all []traffic) {
	for i := range routes {
		r := &routes[i]
		matches, raw := false, false
		var comes []traffic
		for _, t := range all {
			if !r.takes(t) {
				continue
			}
			comes, raw = append(comes, t), raw || t.payload == PayloadRaw
			l.taken[t.listener] = true
			matches = matches || !l.coverage.before(routes[:i], t, &r.Match)
		}
		switch {
		case len(comes) == 0 && outer != nil:
			w.odd(r, "this route never matches: the route around it has no such requests")
		case len(comes) == 0:
			w.odd(r, "this route never matches: %s", r.whyNothing(l.cfg))
		case !matches:
			w.odd(r, "this route never matches: the routes above it match all that it would")
		case outer != nil && !meets(outer.Match.Paths, r.Match.Paths):
			w.odd(r, "this route never matches: no path of it is one of the route around it; paths are whole paths here too")
		default:
			w.warnRoute(r, raw)
			w.warnEncoded(r, l.cfg)
			w.warnForgeable(r, l.cfg)
			w.warnTokens(r)
			if outer == nil {
				w.warnLoop(l.cfg, i)
			}
			w.warnLevel(l, r, r.Routes, comes)
		}
	}
}

// meets reports whether a path may match one of each of two lists, of which an
// empty one matches all.
func meets(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p string) bool {
		return slices.ContainsFunc(b, func(q string) bool { return pathsMeet(p, q) })
	})
}

// whyNothing returns the reason why no listener has requests for a route.
func (r *Route) whyNothing(cfg *Config) string {
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if r.takes(traffic{l.Name, r.payload()}) && !l.redirects() {
			return "its listeners get no messages of payload " + string(r.payload())
		}
	}
	return "its listeners redirect all requests to HTTPS"
}

// hint returns what is easily forgotten.
func (l *Listener) hint() string {
	if l.Megaki != nil && l.Megaki.Payload == PayloadRaw {
		return "; a route handles raw messages only if it has match: {payload: raw}, or raw"
	}
	return ""
}

// warnRoute warns of options of a route that have no effect. raw reports whether
// raw messages can match it.
func (w *walker) warnRoute(r *Route, raw bool) {
	if r.Backend == "" && len(r.Routes) == 0 {
		for _, option := range []any{&r.StripPrefix, &r.Rewrite, &r.RawPath, &r.EncodedSlashes, &r.Timeout, &r.Headers.Request} {
			if o := w.at(option); o.given && strings.HasPrefix(o.path, w.at(r).path) {
				w.odd(option, "it has no effect: no backend sees the requests of this route")
			}
		}
	}
	if r.Redirect != nil && raw {
		w.odd(&r.Redirect, "raw messages can't be redirected; their connection is closed")
	}
	if r.Raw != nil && !raw {
		w.odd(&r.Raw, "it has no effect: no listener of this route gets raw messages")
	}
	if r.StripPrefix != "" && len(r.Match.Paths) > 0 && !prefixOccurs(r.StripPrefix, r.Match.Paths) {
		w.odd(&r.StripPrefix, "it has no effect: no path of this route begins with it")
	}
}

// warnEncoded warns of encoded_slashes where they pass anyway, or never can.
func (w *walker) warnEncoded(r *Route, cfg *Config) {
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; r.EncodedSlashes && b.Name == r.Backend && b.FastCGI == nil && r.Fallback == "" {
			w.odd(&r.EncodedSlashes, "it has no effect: only fastcgi backends refuse encoded slashes that a route doesn't let pass")
		}
	}
}

// warnForgeable warns of conditions on fields that only trusted proxies can send,
// where there are none.
func (w *walker) warnForgeable(r *Route, cfg *Config) {
	if len(cfg.TrustedProxies) > 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.Match.Headers)) {
		lower := strings.ToLower(name)
		if isOneOf([]string{"Forwarded", "X-Real-IP", cfg.ClientIPField}, name) || strings.HasPrefix(lower, "x-forwarded-") || strings.HasPrefix(lower, "x-megaki-") {
			w.odd(&r.Match.Headers, "%s never matches without trusted_proxies: fields that a client could forge are dropped", name)
		}
	}
}

// warnTokens warns of keys for tokens that come over an open network.
func (w *walker) warnTokens(r *Route) {
	if r.Auth == nil || r.Auth.JWT == nil {
		return
	}
	u, err := url.Parse(r.Auth.JWT.JWKS)
	if err != nil || u.Scheme != "http" {
		return
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && addr.IsLoopback() {
		return
	}
	w.odd(&r.Auth.JWT.JWKS, "the keys come by http, so that whoever sits between could sign tokens of its own; use https")
}

// prefixOccurs reports whether a path that one of the patterns matches may have a
// prefix.
func prefixOccurs(prefix string, patterns []string) bool {
	for _, p := range patterns {
		below, wild := strings.CutSuffix(p, "*")
		if strings.HasPrefix(p, "*") || p == prefix || strings.HasPrefix(p, prefix+"/") || wild && strings.HasPrefix(prefix+"/", below) {
			return true
		}
	}
	return false
}

// warnLoop warns of a redirect that leads back to its own route. It may miss some.
func (w *walker) warnLoop(cfg *Config, i int) {
	r := &cfg.Routes[i]
	if m := &r.Match; r.Redirect == nil || m.PathRegexp != "" || m.Not != nil || len(m.Methods)+len(m.Headers)+len(m.Query)+len(m.From) > 0 {
		return
	}
	to := r.Redirect.To
	for _, same := range []string{"{uri}", "{path}"} {
		if scheme, ok := strings.CutSuffix(to, "://{host}"+same); ok {
			for i := range cfg.Listeners {
				l := &cfg.Listeners[i]
				back := l.HTTP != nil && scheme == "http" && portOf(l.Address()) == "80" || l.HTTPS != nil && scheme == "https" && portOf(l.Address()) == "443"
				if back && !l.redirects() && r.takes(traffic{l.Name, PayloadHTTP}) {
					w.odd(&r.Redirect.To, "requests that come in by the listener %s are redirected to where they were, again and again; name the other listeners, as in match: {listeners: [...]}", l.Name)
					return
				}
			}
		}
	}
	if !strings.HasPrefix(to, "/") || strings.Contains(to, "{") {
		return
	}
	path, _, _ := strings.Cut(to, "?")
	path, _, _ = strings.Cut(path, "#")
	for j := range cfg.Routes[:i+1] {
		m := &cfg.Routes[j].Match
		switch takes := coversAll(m.Paths, []string{path}, pathCovers); {
		case takes && j < i:
			return
		case takes:
			w.odd(&r.Redirect.To, "this route matches %s too, so that clients are redirected again and again; add a route for that path above it", quotePath(path))
		}
	}
}
