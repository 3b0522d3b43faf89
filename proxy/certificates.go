package proxy

import (
	"net"

	"mkd/config"
	"mkd/proxy/certs"
)

// certificateOptions returns where the certificates of an HTTPS listener come
// from.
func certificateOptions(cfg *config.Config, l *config.Listener) certs.Options {
	c := &l.HTTPS.TLS
	o := certs.Options{Hosts: l.HTTPS.Hosts, Internal: c.Internal}
	if c.Cert != "" {
		o.Files = []certs.KeyPair{{Cert: c.Cert, Key: c.Key}}
	}
	if a := c.ACME; a != nil {
		o.ACME = &certs.ACME{
			Email:       a.Email,
			AgreeTerms:  a.AgreeTerms,
			CA:          a.CA,
			CARoot:      a.CARoot,
			TLSAddress:  l.HTTPS.Address,
			HTTPAddress: plainAddress(cfg),
		}
	}
	return o
}

// plainAddress returns where http-01 challenges arrive: the address of the
// first HTTP listener on port 80, else of the first HTTP listener; "" if there is
// none.
func plainAddress(cfg *config.Config) (address string) {
	for i := range cfg.Listeners {
		h := cfg.Listeners[i].HTTP
		if h == nil {
			continue
		}
		if _, port, _ := net.SplitHostPort(h.Address); port == "80" {
			return h.Address
		}
		if address == "" {
			address = h.Address
		}
	}
	return address
}
