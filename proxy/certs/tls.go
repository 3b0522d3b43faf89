package certs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// TLS is what a listener needs to serve TLS.
type TLS struct {
	// Config is for the handshakes of the listener.
	Config *tls.Config

	listed *listed
}

func newTLS(l *listed, o *Options) *TLS {
	c := &tls.Config{
		MinVersion:     cmp.Or(o.MinVersion, tls.VersionTLS12),
		CipherSuites:   AEADSuites(),
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: l.certificate,
	}
	asks := false
	for _, e := range l.entries {
		asks = asks || e.auth != nil
		if e.options.ACME != nil && len(c.NextProtos) == 2 {
			c.NextProtos = append(c.NextProtos, acmeProtocol)
		}
	}
	// Clients resume their sessions with the next configuration, too.
	c.WrapSession = l.tickets.EncryptTicket
	c.UnwrapSession = l.tickets.DecryptTicket
	if asks {
		c.GetConfigForClient = l.configs(c)
	}
	return &TLS{c, l}
}

// configs returns a function that chooses the configuration of a client by the name
// that it asks for: c, or one that asks for a certificate.
func (l *listed) configs(c *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	asking := make(map[*entry]*tls.Config)
	for _, e := range l.entries {
		if e.auth != nil {
			asking[e] = e.auth.config(c)
		}
	}
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeProtocol {
			return nil, nil // an authority's challenge, after which the connection closes
		}
		e, _ := l.find(hello.ServerName, nil)
		return asking[e], nil
	}
}

// AsksClients reports whether clients are asked for a certificate, some of them at
// least.
func (t *TLS) AsksClients() bool { return t.Config.GetConfigForClient != nil }

// Asks reports whether clients that ask for a name (SNI), "" for none, are asked for a
// certificate. Names are in lower case.
func (t *TLS) Asks(serverName string) bool { return t.listed.entryOf(serverName).auth != nil }

// Misdirected reports whether a request for a host doesn't belong on a connection that
// was opened for serverName: other rules for certificates of clients apply to the host,
// which is in lower case, without a port.
func (t *TLS) Misdirected(serverName, host string) bool {
	return host != serverName && t.listed.entryOf(serverName).rules() != t.listed.entryOf(host).rules()
}

// entryOf returns the certificate whose rules apply to a host. Hosts without one have
// the rules of clients that ask for no name.
func (l *listed) entryOf(host string) *entry {
	if e, _ := l.find(host, nil); e != nil {
		return e
	}
	return l.entries[0]
}

// rules identifies the rules for certificates of clients, "" if there are none.
func (e *entry) rules() string {
	if e.auth == nil {
		return ""
	}
	return e.auth.id
}

// certificate is for tls.Config.
func (l *listed) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	e, name := l.find(hello.ServerName, hello)
	if e == nil {
		return nil, nil // crypto/tls sends the alert unrecognized_name
	}
	return e.source.certificate(name, hello)
}

// find returns the certificate for a name, nil if there is none, and the name that it
// is found by. hello may be nil.
func (l *listed) find(serverName string, hello *tls.ClientHelloInfo) (*entry, string) {
	name := strings.ToLower(serverName)
	if name == "" {
		name, _ = l.entries[0].hosts.choose("")
		return l.entries[0], name
	}
	for _, wildcard := range []bool{false, true} {
		var first *entry
		for _, e := range l.entries {
			if !e.isFor(name, wildcard) {
				continue
			}
			if e.supported(name, hello) {
				return e, name
			}
			if first == nil {
				first = e
			}
		}
		if first != nil {
			return first, name
		}
	}
	for _, e := range l.entries {
		if a := e.options.ACME; a != nil && a.OnDemand != nil {
			return e, name
		}
	}
	return nil, ""
}

// isFor reports whether a certificate is for a name, by itself or by a wildcard.
func (e *entry) isFor(name string, wildcard bool) bool {
	if f, ok := e.source.(*files); ok && len(e.hosts.list) == 0 {
		return f.isFor(name, wildcard)
	}
	if wildcard {
		_, parent, _ := strings.Cut(name, ".")
		return e.hosts.set["*."+parent]
	}
	return e.hosts.set[name]
}

// supported reports whether a client can use the certificate for a name.
func (e *entry) supported(name string, hello *tls.ClientHelloInfo) bool {
	f, ok := e.source.(*files)
	if !ok || hello == nil {
		return true
	}
	cert := f.find(name, hello)
	return cert != nil && hello.SupportsCertificate(cert) == nil
}

// overlap returns an error if another of the certificates is for a name of e, so that
// nobody would get the second of them, nor be held to its client_auth. e may be one of them
// whose files have changed.
func (l *listed) overlap(e *entry) error {
	for _, name := range e.names() {
		for _, other := range l.entries {
			o, ok := other.source.(*files)
			f, both := e.source.(*files)
			switch {
			case other.hosts == e.hosts: // it is e before the change
			case !other.hasName(name):
			case !ok || !both || len(other.hosts.list)+len(e.hosts.list) > 0 || o.algorithm(name) == f.algorithm(name):
				return fmt.Errorf("%s has a certificate already, from %s, and a name has one; list in hosts which names each is for", name, other.origin())
			case other.rules() != e.rules():
				return fmt.Errorf("%s has two certificates, the other from %s, with different client_auth; give both the same", name, other.origin())
			}
		}
	}
	return nil
}

// names returns the names that a certificate is for, wildcards included.
func (e *entry) names() []string {
	if f, ok := e.source.(*files); ok && len(e.hosts.list) == 0 {
		return f.names()
	}
	return e.hosts.list
}

// hasName reports whether a certificate is for a name, or a wildcard, as such.
func (e *entry) hasName(name string) bool { return slices.Contains(e.names(), name) }

// origin returns where a certificate comes from, for errors.
func (e *entry) origin() string {
	switch {
	case e.options.ACME != nil:
		return "acme"
	case e.options.Internal:
		return "internal: true"
	}
	return e.options.Files[0].Cert
}

// names returns the DNS names in the certificates.
func (f *files) names() (all []string) {
	for _, p := range f.pairs {
		for _, name := range p.cert.Load().Leaf.DNSNames {
			all = append(all, strings.ToLower(name))
		}
	}
	return all
}

// isFor reports whether one of the certificates is for a name, by itself or by a
// wildcard.
func (f *files) isFor(name string, wildcard bool) bool {
	for _, p := range f.pairs {
		leaf := p.cert.Load().Leaf
		if wildcard && leaf.VerifyHostname(name) == nil {
			return true
		}
		for _, n := range leaf.DNSNames {
			if !wildcard && strings.EqualFold(n, name) {
				return true
			}
		}
	}
	return false
}

// algorithm returns the kind of key of the certificate for a name.
func (f *files) algorithm(name string) x509.PublicKeyAlgorithm {
	if cert := f.find(name, nil); cert != nil {
		return cert.Leaf.PublicKeyAlgorithm
	}
	return x509.UnknownPublicKeyAlgorithm
}
