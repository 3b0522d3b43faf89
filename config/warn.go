package config

import (
	"slices"
	"strings"
)

func isAnyPort(address string) bool { return strings.HasSuffix(address, ":0") }

// warn looks for what is right but odd in a configuration without errors.
func (w *walker) warn(cfg *Config) {
	for i := range cfg.Listeners {
		if m := cfg.Listeners[i].Megaki; m.HandshakesPerIP.Burst > 0 && m.HandshakesPerIP.Rate == 0 {
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

// warnRoutes looks for routes that can never match, and for listeners that no
// route takes anything from.
func (w *walker) warnRoutes(cfg *Config) {
	left := make(map[traffic]bool) // whether no route has taken it yet
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		for _, p := range []Payload{PayloadHTTP, PayloadRaw} {
			if l.Megaki.Payload == PayloadAuto || l.Megaki.Payload == p {
				left[traffic{l.Name, p}] = true
			}
		}
	}
	taken := make(map[string]bool) // listeners
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		comes, matches := false, false
		for t, free := range left {
			if !r.Match.takes(t) {
				continue
			}
			comes = true
			matches = matches || free
			left[t] = false
			taken[t.listener] = true
		}
		switch {
		case !comes:
			w.odd(r, "this route never matches: its listeners get no messages of payload %s", r.Match.payload())
		case !matches:
			w.odd(r, "this route never matches: the routes above it take all that it would")
		}
	}
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; !taken[l.Name] {
			w.odd(l, "no route takes anything from this listener%s", l.hint())
		}
	}
}

// hint tells what is easily forgotten.
func (l *Listener) hint() string {
	if l.Megaki.Payload == PayloadRaw {
		return "; a route takes raw messages only if it says match: {payload: raw}"
	}
	return ""
}

// takes reports whether t matches. A condition that is more than a listener and
// a payload must make it false in warnRoutes for what it leaves to others.
func (m *Match) takes(t traffic) bool {
	return m.payload() == t.payload && (len(m.Listeners) == 0 || slices.Contains(m.Listeners, t.listener))
}

// payload is what the route takes: a raw message must be asked for.
func (m *Match) payload() Payload {
	if m.Payload == "" {
		return PayloadHTTP
	}
	return m.Payload
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
