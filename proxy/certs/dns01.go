package certs

import (
	"errors"
	"time"

	"github.com/caddyserver/certmagic"

	"mkd/proxy/dnsprovider"
)

// DNS has a CA look for a record in the DNS (dns-01) in place of the other challenges.
// The record is set by exactly one of RFC2136, Exec and Provider.
type DNS struct {
	RFC2136  *dnsprovider.RFC2136
	Exec     []string // the program and its first arguments
	Provider string   // the name of a libdns provider that is built in
	Options  map[string]string

	// Resolvers are servers, as HOST:PORT, that are asked for the zone of a name, and
	// for the record before the CA is. Default: those of the system are asked for the
	// zone, and the servers of the zone for the record.
	Resolvers []string

	// Timeout is how long to wait until the record is seen. Default: 2 minutes.
	Timeout time.Duration
}

// challengeTTL is the time to live of the records.
const challengeTTL = time.Minute

// solver returns what sets and deletes the records.
func (d *DNS) solver() (*certmagic.DNS01Solver, error) {
	p, err := d.provider()
	if err != nil {
		return nil, err
	}
	return &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
		DNSProvider: p, TTL: challengeTTL, PropagationTimeout: d.Timeout, Resolvers: d.Resolvers,
	}}, nil
}

func (d *DNS) provider() (dnsprovider.Provider, error) {
	switch {
	case d.RFC2136 != nil:
		return d.RFC2136, d.RFC2136.Check()
	case len(d.Exec) > 0:
		return &dnsprovider.Exec{Command: d.Exec}, nil
	case d.Provider != "":
		return dnsprovider.Named(d.Provider, d.Options)
	}
	return nil, errors.New("acme.dns sets no records: give rfc2136, exec or provider")
}
