package certs

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"strings"

	"github.com/mholt/acmez/v3/acme"
)

// advice returns what to check when no certificate for a host could be obtained. dns is
// whether the CA looks for a record in the DNS.
func advice(host string, err error, dns bool) string {
	var problem acme.Problem
	var untrusted x509.UnknownAuthorityError
	var file *fs.PathError
	var network net.Error
	switch {
	case errors.As(err, &problem):
		if dns {
			if text := adviceOfDNS(host, problem.Type); text != "" {
				return text
			}
		}
		return adviceOfCA(host, problem.Type)
	case errors.As(err, &untrusted):
		return "the HTTPS of the CA itself isn't trusted here: does ca_root have its root?"
	case errors.As(err, &file):
		return "can the folder of certificates be written?"
	case dns && strings.Contains(err.Error(), "presenting for challenge"), dns && strings.Contains(err.Error(), "waiting for solver"):
		return "can the DNS be changed by what acme.dns has, and do its resolvers see it?"
	case errors.As(err, &network):
		return "can the CA be reached from this machine? is ca right?"
	}
	return "the error"
}

// adviceOfDNS is adviceOfCA for dns-01; "" if that is no concern of the DNS.
func adviceOfDNS(host, problem string) string {
	switch strings.TrimPrefix(problem, acme.ProblemTypeNamespace) {
	case "connection", "unauthorized", "incorrectResponse", "dns":
		return "is the zone of _acme-challenge." + strings.TrimPrefix(host, "*.") + " delegated to the servers that acme.dns changes, and do all of them have the new record?"
	}
	return ""
}

// adviceOfCA is about a problem that the CA reports (RFC 8555, section 6.7).
func adviceOfCA(host, problem string) string {
	switch strings.TrimPrefix(problem, acme.ProblemTypeNamespace) {
	case "connection", "tls", "unauthorized", "incorrectResponse":
		return "do the A and AAAA records of " + host + " lead to this machine, and its ports 443 and 80 from the internet to the listeners?"
	case "dns":
		return "does the DNS have an A or AAAA record for " + host + "?"
	case "caa":
		return "the CAA record of " + host + " in the DNS forbids this CA"
	case "rateLimited":
		return "the CA's limit of certificates is reached; there will be one once it has passed"
	case "rejectedIdentifier":
		return "the CA issues no certificates for " + host
	case "invalidContact", "unsupportedContact":
		return "is email an address that exists?"
	case "externalAccountRequired":
		return "this CA wants an account that was made elsewhere, which isn't possible here"
	}
	return "the error of the CA"
}
