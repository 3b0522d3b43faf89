package config

import "strings"

func isAnyPort(address string) bool { return strings.HasSuffix(address, ":0") }

// warn looks for what is right but odd in a configuration without errors.
func (w *walker) warn(cfg *Config) {
	for i := range cfg.Listeners {
		m := cfg.Listeners[i].Megaki
		if m != nil && m.HandshakesPerIP.Burst > 0 && m.HandshakesPerIP.Rate == 0 {
			w.odd(&m.HandshakesPerIP.Burst, "it has no effect without a rate, so handshakes aren't limited; set rate too")
		}
	}
	w.warnRoutes(cfg)
	w.warnUnused(cfg)
}

// traffic is what comes in by a listener and is routed alike.
type traffic struct {
	listener string
	payload  Payload // http or raw
}

// brings returns the traffic that a listener brings.
func (l *Listener) brings() (all []traffic) {
	if l.Megaki == nil {
		if l.HTTP != nil && l.HTTP.RedirectHTTPS {
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

// maxCompared bounds how many routes are compared with each other: each is
// compared with all above it.
const maxCompared = 1000

// warnRoutes looks for routes that can never match, and for listeners that no
// route takes anything from.
func (w *walker) warnRoutes(cfg *Config) {
	var all []traffic
	for i := range cfg.Listeners {
		all = append(all, cfg.Listeners[i].brings()...)
	}
	taken := make(map[string]bool) // listeners
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		comes, matches := false, false
		for _, t := range all {
			if !r.takes(t) {
				continue
			}
			comes = true
			taken[t.listener] = true
			matches = matches || i >= maxCompared || !takenBefore(cfg.Routes[:i], t, &r.Match)
		}
		switch {
		case !comes:
			w.odd(r, "this route never matches: its listeners get no messages of payload %s", r.payload())
		case !matches:
			w.odd(r, "this route never matches: the routes above it take all that it would")
		}
	}
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; !taken[l.Name] && len(l.brings()) > 0 {
			w.odd(l, "no route takes anything from this listener%s", l.hint())
		}
	}
}

// takenBefore reports whether one of the routes takes all of some traffic that
// m would.
func takenBefore(routes []Route, t traffic, m *Match) bool {
	for i := range routes {
		if r := &routes[i]; r.takes(t) && r.Match.covers(m) {
			return true
		}
	}
	return false
}

// hint tells what is easily forgotten.
func (l *Listener) hint() string {
	if l.Megaki != nil && l.Megaki.Payload == PayloadRaw {
		return "; a route takes raw messages only if it says match: {payload: raw}, or raw"
	}
	return ""
}

func (w *walker) warnUnused(cfg *Config) {
	used := make(map[string]bool)
	for i := range cfg.Routes {
		used[cfg.Routes[i].Backend] = true
	}
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; !used[b.Name] {
			w.odd(b, "no route uses this backend")
		}
	}
}
