package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"strings"

	"github.com/caddyserver/certmagic"
)

// DefaultCA is the directory of the CA if ACME.CA is empty: Let's Encrypt.
const DefaultCA = certmagic.LetsEncryptProductionCA

// ACME configures a certificate authority that issues certificates by ACME.
type ACME struct {
	// Email is an address for the CA's messages. It may be left out.
	Email string

	// AgreeTerms confirms that you agree to the terms of the CA. It must be true.
	AgreeTerms bool

	// CA is the URL of the CA's directory. Default: DefaultCA.
	CA string

	// CARoot is a PEM file of the root certificates of the CA's own HTTPS. Default:
	// those of the system.
	CARoot string

	// TLSAddress is where the listener listens, as HOST:PORT. The CA comes to
	// port 443 of the hosts, which has to lead there, for tls-alpn-01.
	TLSAddress string

	// HTTPAddress is the same of a listener without TLS that has
	// HTTPChallengeHandler. The CA comes to port 80, for http-01. Default: there
	// is none, and http-01 isn't used.
	HTTPAddress string

	// DNS sets a record in the DNS, which the CA looks up instead of coming to the listeners.
	// Wildcards need it. Default: the CA comes to the listeners.
	DNS *DNS

	// OnDemand allows certificates for names besides Hosts. Default: there are
	// none. One of the certificates of a listener may have it.
	OnDemand *OnDemand

	disableTLSALPN bool // for tests of http-01
}

// issuesAs reports whether certificates are issued in the same way.
func (o *ACME) issuesAs(other *ACME) bool {
	return o.Email == other.Email && o.CA == other.CA && o.CARoot == other.CARoot && reflect.DeepEqual(o.DNS, other.DNS)
}

// template checks the settings for these hosts, and makes certmagic's of them.
func (o *ACME) template(hosts []string) (certmagic.ACMEIssuer, error) {
	t := certmagic.ACMEIssuer{CA: o.CA, Email: o.Email, Agreed: true, DisableTLSALPNChallenge: o.disableTLSALPN}
	u, err := url.Parse(o.CA)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return t, fmt.Errorf("ca %q isn't the URL of a directory, https://HOST/PATH", o.CA)
	}
	if !o.AgreeTerms {
		return t, fmt.Errorf("the CA at %s issues certificates to those who agree to its terms: read them, then set agree_terms: true", u.Host)
	}
	for _, host := range hosts {
		switch {
		case strings.HasPrefix(host, "*.") && o.DNS == nil:
			return t, fmt.Errorf("host %s: a CA issues wildcards by dns-01 only; give acme a dns block, list each name, or use a certificate from a file", host)
		case isAddress(host):
			return t, fmt.Errorf("host %s: certificates by ACME are for names, not for addresses", host)
		case o.CA == certmagic.LetsEncryptProductionCA && !certmagic.SubjectQualifiesForPublicCert(host):
			return t, fmt.Errorf("host %s: Let's Encrypt issues no certificates for it, only for names in the public DNS", host)
		}
	}
	if o.CARoot != "" {
		pem, err := readFile("ca_root", o.CARoot)
		if err != nil {
			return t, err
		}
		t.TrustedRoots = x509.NewCertPool()
		if !t.TrustedRoots.AppendCertsFromPEM(pem) {
			return t, fmt.Errorf("ca_root: %s has no certificates in PEM", o.CARoot)
		}
	}

	if o.DNS != nil {
		t.DNS01Solver, err = o.DNS.solver()
		return t, err
	}

	// certmagic opens sockets for challenges, unless there already are some at its
	// address: ours, which then respond.
	var tlsHost, httpHost string
	if tlsHost, t.AltTLSALPNPort, err = splitAddress(o.TLSAddress); err != nil {
		return t, err
	}
	t.ListenHost = tlsHost
	if o.HTTPAddress == "" {
		t.DisableHTTPChallenge = true
		return t, nil
	}
	if httpHost, t.AltHTTPPort, err = splitAddress(o.HTTPAddress); err != nil {
		return t, err
	}
	if httpHost != tlsHost {
		t.ListenHost = "" // it knows one; all addresses are in use as well if one is
	}
	return t, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(address)
	if err == nil {
		port, err = net.LookupPort("tcp", service)
	}
	if err == nil && port == 0 {
		err = errors.New("ACME needs a fixed port")
	}
	if err != nil {
		return "", 0, fmt.Errorf("the address %q of a listener for ACME: %w", address, err)
	}
	return host, port, nil
}

// issuer keeps certmagic from looking for an email address elsewhere if Email is
// empty: on a terminal, or in other listeners' accounts.
type issuer struct{ *certmagic.ACMEIssuer }

func (i issuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	if i.Email == "" {
		return nil
	}
	return i.ACMEIssuer.PreCheck(ctx, names, false)
}
