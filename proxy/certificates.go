package proxy

import (
	"crypto/tls"
	"net"
	"strconv"

	"mkd/config"
	"mkd/proxy/certs"
)

// certificates adds an HTTPS listener to those that have certificates, and
// returns the TLS configuration for it.
func (p *Proxy) certificates(l *config.Listener) (*tls.Config, error) {
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
			HTTPAddress: plainAddress(p.cfg),
		}
	}
	return p.certs.Add(l.Name, o)
}

// plainAddress is where an authority's questions by plain HTTP (http-01) are
// answered: the first HTTP listener on port 80, else the first of all; "" if
// there is none.
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

// httpsPort is the port of the first HTTPS listener, 443 if there is none or if
// it isn't known yet.
func httpsPort(cfg *config.Config) int {
	for i := range cfg.Listeners {
		if h := cfg.Listeners[i].HTTPS; h != nil {
			_, port, _ := net.SplitHostPort(h.Address)
			if n, err := strconv.Atoi(port); err == nil && n > 0 {
				return n
			}
			break
		}
	}
	return 443
}
