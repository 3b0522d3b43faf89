package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// ClientAuth asks clients for a certificate.
type ClientAuth struct {
	// CA is a PEM file with the certificates of the authorities whose clients are
	// accepted.
	CA string

	// Optional lets clients without a certificate connect.
	Optional bool
}

// clientAuth is the rules for certificates of clients of a name.
type clientAuth struct {
	id   string // the same for the same rules
	mode tls.ClientAuthType
	cas  *x509.CertPool
}

// newClientAuth reads the authorities. It returns nil for nil.
func newClientAuth(o *ClientAuth, log *zap.Logger) (*clientAuth, error) {
	if o == nil {
		return nil, nil
	}
	data, err := readFile("client_auth.ca", o.CA)
	if err != nil {
		return nil, err
	}
	a := &clientAuth{mode: tls.RequireAndVerifyClientCert, cas: x509.NewCertPool()}
	if o.Optional {
		a.mode = tls.VerifyClientCertIfGiven
	}
	a.id = fmt.Sprintf("%v %x", a.mode, sha256.Sum256(data))
	var all, expired int
	var last time.Time // when the last one expired
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("client_auth.ca: a certificate in %s: %w", o.CA, err)
		}
		all++
		if time.Now().After(cert.NotAfter) {
			expired++
			if cert.NotAfter.After(last) {
				last = cert.NotAfter
			}
		}
		a.cas.AddCert(cert)
	}
	switch {
	case all == 0:
		return nil, fmt.Errorf("client_auth.ca: %s has no certificates in PEM", o.CA)
	case expired == all:
		return nil, fmt.Errorf("client_auth.ca: %s expired on %s, so that no certificate of a client is valid; give the current one of the authority", o.CA, last.Format(time.DateOnly))
	case expired > 0:
		log.Warn("a certificate of an authority for clients has expired; its clients are rejected", zap.String("ca", o.CA), zap.Time("not_after", last))
	}
	return a, nil
}

// config returns c with these rules. Sessions aren't resumed: so a client that another
// authority, or none, has vouched for never gets by, and each is checked anew.
func (a *clientAuth) config(c *tls.Config) *tls.Config {
	asking := c.Clone()
	asking.ClientAuth, asking.ClientCAs = a.mode, a.cas
	asking.SessionTicketsDisabled = true
	asking.WrapSession, asking.UnwrapSession = nil, nil
	return asking
}
