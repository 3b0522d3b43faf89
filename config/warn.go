package config

import "net"

func isAnyPort(address string) bool { return portOf(address) == "0" }

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// warn looks for what is odd in a valid configuration.
func (w *walker) warn(cfg *Config) {
	for i := range cfg.Listeners {
		w.warnConnections(cfg.Listeners[i].socket())
	}
	cfg.eachSection(func(k kind) { k.warn(w, cfg) })
	w.warnSessions(&cfg.Sessions)
	w.warnRoutes(cfg)
	w.warnUnused(cfg)
}

// warnConnections warns of a bound of one client that bounds nothing.
func (w *walker) warnConnections(s socket) {
	if all, perIP := *s.maxConnections, *s.maxConnectionsPerIP; perIP >= all && perIP > 0 {
		w.odd(s.maxConnectionsPerIP, "it has no effect: max_connections is %d", all)
	}
}

func (w *walker) warnUnused(cfg *Config) {
	used := make(map[string]bool)
	if cfg.ErrorPages != nil {
		used[cfg.ErrorPages.Backend] = true
	}
	for r := range cfg.EachRoute() {
		used[r.Backend], used[r.Fallback] = true, true
		if r.ErrorPages != nil {
			used[r.ErrorPages.Backend] = true
		}
	}
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; !used[b.Name] {
			w.odd(b, "no route uses this backend")
		}
	}
}
