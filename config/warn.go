package config

import (
	"net"
	"net/netip"
	"strings"
)

func isAnyPort(address string) bool { return portOf(address) == "0" }

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// warn looks for what is odd in a valid configuration.
func (w *walker) warn(cfg *Config) {
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		w.warnConnections(l)
		switch {
		case l.Megaki != nil:
			w.warnMegaki(l.Megaki)
		case l.HTTPS != nil:
			w.warnHTTPS(l.HTTPS, cfg)
		case l.HTTP.RedirectHTTPS && !hasHTTPS(cfg):
			w.odd(&l.HTTP.RedirectHTTPS, "there is no https listener that clients could be sent to")
		}
	}
	for i := range cfg.Backends {
		if h := cfg.Backends[i].HTTP; h != nil {
			w.warnHTTP(h)
		}
		if f := cfg.Backends[i].FastCGI; f != nil {
			w.warnFastCGI(f)
		}
	}
	w.warnSessions(&cfg.Sessions)
	w.warnRoutes(cfg)
	w.warnUnused(cfg)
}

func hasHTTPS(cfg *Config) bool {
	for i := range cfg.Listeners {
		if cfg.Listeners[i].HTTPS != nil {
			return true
		}
	}
	return false
}

// warnConnections warns of a bound of one client that bounds nothing.
func (w *walker) warnConnections(l *Listener) {
	all, perIP := l.MaxConnections(), new(int)
	switch {
	case l.Megaki != nil:
		perIP = &l.Megaki.MaxConnectionsPerIP
	case l.HTTPS != nil:
		perIP = &l.HTTPS.MaxConnectionsPerIP
	case l.HTTP != nil:
		perIP = &l.HTTP.MaxConnectionsPerIP
	}
	if *perIP >= all && *perIP > 0 {
		w.odd(perIP, "it has no effect: max_connections is %d", all)
	}
}

func (w *walker) warnMegaki(m *Megaki) {
	w.warnKeys(m)
	if m.HandshakesPerIP.Burst > 0 && m.HandshakesPerIP.Rate == 0 {
		w.odd(&m.HandshakesPerIP.Burst, "it has no effect without a rate, so handshakes aren't limited; set rate too")
	}
}

// warnHTTPS looks for certificates that no public authority can give.
func (w *walker) warnHTTPS(h *HTTPS, cfg *Config) {
	public := w.warnPublic(&h.TLS.CertificateSource, h.Hosts)
	for i := range h.TLS.Certificates {
		c := &h.TLS.Certificates[i]
		public = w.warnPublic(&c.CertificateSource, c.Hosts) || public
	}
	if !public || portOf(h.Address) == "443" {
		return
	}
	for i := range cfg.Listeners {
		if cfg.Listeners[i].HTTP != nil {
			return // port 80 may be forwarded to it
		}
	}
	w.odd(&h.Address, "the authority will ask on port 443 or 80, and no listener is there; unless port 443 is forwarded to this one, there will be no certificate")
}

// warnPublic warns of names that no public authority knows, and reports whether such
// an authority will come to the listeners.
func (w *walker) warnPublic(s *CertificateSource, hosts []string) bool {
	if s.ACME == nil || w.at(&s.ACME.CA).given { // an authority of one's own may do all this
		return false
	}
	for i, host := range hosts {
		if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") {
			w.odd(&hosts[i], "a public authority gives no certificate for this, as it isn't a name of the public DNS; see internal: true for development")
		}
	}
	return s.ACME.DNS == nil
}

// warnHTTP looks for options that do nothing.
func (w *walker) warnHTTP(h *HTTPBackend) {
	if h.MaxConnections == 0 {
		for _, option := range []any{&h.Queue, &h.QueueTimeout} {
			if w.at(option).given {
				w.odd(option, "it has no effect without max_connections: no request waits for a connection")
			}
		}
	}
	if h.ProxyProtocol != "" && w.at(&h.IdleTimeout).given {
		w.odd(&h.IdleTimeout, "it has no effect with proxy_protocol: no connection is kept")
	}
	secure := false
	for i := range h.Upstreams {
		secure = secure || strings.HasPrefix(h.Upstreams[i].URL, "https:") || strings.HasPrefix(h.Upstreams[i].URL, "h2:")
	}
	switch t := &h.TLS; {
	case *t == (UpstreamTLS{}):
	case !secure:
		w.odd(t, "it has no effect: no upstream has an https or h2 URL")
	case t.Insecure && (t.CA != ""):
		w.odd(&t.CA, "it has no effect beside insecure: true, with which any certificate is taken")
	}
}

func (w *walker) warnUnused(cfg *Config) {
	used := make(map[string]bool)
	for r := range cfg.EachRoute() {
		used[r.Backend] = true
	}
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; !used[b.Name] {
			w.odd(b, "no route uses this backend")
		}
	}
}
