package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"mkd/config"
	"mkd/proxy/certs"
	"mkd/proxy/dnsprovider"
	"mkd/proxy/listener"
)

// planTLS adds the certificates of an HTTPS listener to a change, and to env, which serves
// them.
func planTLS(c *change, cfg *config.Config, l *config.Listener, env *listener.Daemon) error {
	made, err := c.certs.Add(l.Name, tlsOptions(cfg, l))
	if err != nil {
		return placed(cfg, l, err)
	}
	env.TLS = made.Config
	if made.AsksClients() {
		env.Clients = made
	}
	return nil
}

// placed adds to an error of package certs the place of the certificate that it is
// about.
func placed(cfg *config.Config, l *config.Listener, err error) error {
	path := "https.tls"
	if e := (*certs.Error)(nil); errors.As(err, &e) {
		path = l.HTTPS.Certificates()[e.Certificate].Path
	}
	return fmt.Errorf("%s: %w", cfg.Position("listeners."+l.Name+"."+path), err)
}

// tlsOptions returns where the certificates of an HTTPS listener come from, and what
// else its TLS has.
func tlsOptions(cfg *config.Config, l *config.Listener) (o certs.Options) {
	if l.HTTPS.TLS.MinVersion == "1.3" {
		o.MinVersion = tls.VersionTLS13
	}
	for _, c := range l.HTTPS.Certificates() {
		made := certs.Certificate{Hosts: c.Hosts, Internal: c.Internal}
		if c.Cert != "" {
			made.Files = []certs.KeyPair{{Cert: c.Cert, Key: c.Key}}
		}
		if a := c.ACME; a != nil {
			made.ACME = &certs.ACME{
				Email:       a.Email,
				AgreeTerms:  a.AgreeTerms,
				CA:          a.CA,
				CARoot:      a.CARoot,
				TLSAddress:  l.HTTPS.Address,
				HTTPAddress: plainAddress(cfg),
				DNS:         dnsOptions(a.DNS),
			}
			if d := a.OnDemand; d != nil {
				made.ACME.OnDemand = &certs.OnDemand{Ask: d.Ask, PerHour: d.PerHour}
			}
		}
		if a := c.ClientAuth; a != nil {
			made.ClientAuth = &certs.ClientAuth{CA: a.CA, Optional: a.Mode == "verify_if_given"}
		}
		o.Certificates = append(o.Certificates, made)
	}
	return o
}

// dnsOptions returns how records of the DNS are set.
func dnsOptions(c *config.ACMEDNS) *certs.DNS {
	if c == nil {
		return nil
	}
	d := &certs.DNS{Exec: c.Exec, Resolvers: c.Resolvers, Timeout: c.Timeout}
	if c.RFC2136 != nil {
		d.RFC2136 = &dnsprovider.RFC2136{Server: c.RFC2136.Server, KeyFile: c.RFC2136.KeyFile}
	}
	if c.Provider != nil {
		d.Provider, d.Options = c.Provider.Name, c.Provider.Options
	}
	return d
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
