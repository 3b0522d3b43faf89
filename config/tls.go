package config

import "time"

// TLS configures the certificates of a listener, and who may connect. It has one source
// itself, for the listener's `hosts`: `acme`, `cert` with `key`, or `internal: true`; or
// it has `certificates`; or both.
type TLS struct {
	CertificateSource

	// More certificates, each for names of its own. A client gets the one for the name
	// that it asks for (SNI): a whole name goes before a wildcard. A client that asks
	// for none gets that of `tls` itself, or else the first of these. No two may be for
	// the same name, but for files without `hosts` whose keys are of different kinds, RSA
	// and ECDSA: then the client gets the first that it supports.
	Certificates []Certificate `yaml:"certificates" example:"{cert: c.pem, key: k.pem}"`

	// The oldest version of TLS: 1.2 or 1.3.
	MinVersion TLSVersion `yaml:"min_version" default:"1.2" oneof:"1.2 1.3"`

	// Certificates of clients, for all names that have no `client_auth` of their own.
	// Default: clients aren't asked for one.
	ClientAuth *ClientAuth `yaml:"client_auth" example:"{ca: VALUE}|clients.pem"`
}

// TLSVersion is a version of TLS, as in 1.3.
type TLSVersion string

// CertificateSource is where a certificate comes from: exactly one of `acme`, `cert`
// with `key`, and `internal: true`.
type CertificateSource struct {
	// Certificates that mkd gets, and renews, from a certificate authority.
	ACME *ACME `yaml:"acme" example:"{agree_terms: true}"`

	// A PEM file with the certificate, and after it those that lead to its
	// authority. It and `key` are read anew when they change.
	Cert string `yaml:"cert" default:"" path:"file"`

	// A PEM file with the private key of `cert`.
	Key string `yaml:"key" default:"" path:"tlskey"`

	// Whether mkd makes a certificate by itself, for development. Clients
	// must be configured to trust it: it is `internal/LISTENER.crt` in `storage`.
	Internal bool `yaml:"internal" default:"false"`
}

// Certificate is one of several certificates of a listener.
type Certificate struct {
	// The names that it is for, as in the listener's `hosts`. Needed by `acme` and
	// `internal`; with `cert`, none means whatever names it has.
	Hosts []string `yaml:"hosts" format:"name"`

	CertificateSource

	// Certificates of clients that ask for one of these names. Default: that of `tls`.
	// A request for one of them gets 421 on a connection that was opened for a name
	// with other rules.
	ClientAuth *ClientAuth `yaml:"client_auth" example:"{ca: VALUE}|clients.pem"`

	// Path is where it is below its listener, for errors. HTTPS.Certificates sets it.
	Path string `yaml:"-"`
}

// ClientAuth asks clients for a certificate in the TLS handshake. Backends learn its
// subject: HTTP servers and PHP workers from the fields `X-SSL-Client-Verify` (`SUCCESS`
// or `NONE`), `X-SSL-Client-S-DN`, `X-SSL-Client-I-DN`, `X-SSL-Client-Serial` and
// `X-SSL-Client-Fingerprint` (SHA-256), FastCGI servers from SSL_CLIENT_VERIFY and so on.
// What a client sends in such fields is always removed. Such connections aren't resumed.
type ClientAuth struct {
	// A PEM file with the certificates of the authorities whose clients are accepted.
	// It is read anew by a reload.
	CA string `yaml:"ca,required" path:"file"`

	// `require`: a client without a valid certificate can't connect. `verify_if_given`:
	// it can, but one with a certificate that isn't valid can't; a route with
	// `client_certificate: required` then rejects the others.
	Mode string `yaml:"mode" default:"require" oneof:"require verify_if_given"`
}

// ACME is about a certificate authority that gives certificates to those who
// control a name (RFC 8555). It asks the machine that the name leads to: on
// port 443, which must lead to this listener (tls-alpn-01), or on port 80, which
// must lead to an `http` listener (http-01). One of them is enough. With `dns` it looks
// into the DNS instead (dns-01).
type ACME struct {
	// The mail address that the authority can reach you by. Most do without.
	Email string `yaml:"email" default:"" format:"email"`

	// Whether you agree to the authority's terms of service. It must be true.
	AgreeTerms bool `yaml:"agree_terms" default:"false"`

	// The address of the authority's directory.
	CA string `yaml:"ca" default:"https://acme-v02.api.letsencrypt.org/directory" format:"url"`

	// A PEM file with the certificates that the authority's own server is
	// trusted by. Empty: those of this machine.
	CARoot string `yaml:"ca_root" default:"" path:"file"`

	// A record in the DNS, which mkd sets, proves the names. Wildcards need it;
	// the machine needn't be reachable from outside.
	DNS *ACMEDNS `yaml:"dns" example:"{exec: [VALUE]}|/usr/local/bin/dns-hook"`

	// Gets certificates for names that aren't in `hosts`, which may be left out, when a
	// client first asks for one of them. Off by default: without a check, anybody could
	// have certificates made for any name. One certificate of a listener may have it.
	OnDemand *OnDemand `yaml:"on_demand" example:"{ask: VALUE}|http://127.0.0.1:9000/ask"`
}

// OnDemand decides which names get certificates on demand. A client that asks for a new
// name waits for its certificate, as long as `header_timeout` lets it; one that comes
// later finds it.
type OnDemand struct {
	// A URL that is asked by GET with the query `domain=NAME`. The status 200 allows
	// the name; any other refuses it, as does an error, or no response in 5 seconds.
	// Refusals and failures are remembered for 5 minutes. 16 names are asked for at
	// once; a name more is refused. Renewals are asked for too.
	Ask string `yaml:"ask,required" format:"url"`

	// How many certificates the authority is asked for in an hour. Renewals don't count.
	PerHour int `yaml:"per_hour" default:"60" range:"1..100000"`
}

// ACMEDNS sets the TXT record `_acme-challenge.NAME`, and deletes it after the authority
// has seen it. It has exactly one of the kinds below.
type ACMEDNS struct {
	// Dynamic updates, as BIND, Knot, PowerDNS and Windows servers take them.
	RFC2136 *RFC2136 `yaml:"rfc2136,kind" example:"{server: VALUE, key_file: tsig.key}|192.0.2.53:53"`

	// A program and its first arguments, for any other DNS. It is called with three
	// more: `present`, the whole name with a dot at its end, and the value, to add a TXT
	// record; `cleanup` and the same to delete it. There may be two records of a name.
	// It has mkd's environment, and two minutes. An exit status other than 0 is a
	// failure, and its output is logged.
	Exec []string `yaml:"exec,kind"`

	// A libdns provider that was built in.
	Provider *DNSProvider `yaml:"provider,kind" example:"{name: VALUE, options: {api_token: {file: token}}}|cloudflare"`

	// Servers that are asked for the zone of a name, and for the record before the
	// authority is. Default: those of this machine are asked for the zone, and the
	// servers of the zone for the record.
	Resolvers []string `yaml:"resolvers" format:"address 53"`

	// How long to wait until the record is seen.
	Timeout time.Duration `yaml:"timeout" default:"2m" range:"1s..1h"`
}

// RFC2136 has the primary server of a zone change it (RFC 2136), over TCP.
type RFC2136 struct {
	// The server.
	Server string `yaml:"server,required" format:"address 53"`

	// A file with the key that signs updates (TSIG), as `tsig-keygen` prints it. Empty:
	// they aren't signed.
	KeyFile string `yaml:"key_file" default:"" path:"secret"`
}

// DNSProvider is a libdns provider.
type DNSProvider struct {
	// Its name. Which are built in depends on how mkd was built: by default none.
	Name string `yaml:"name,required"`

	// Its options, by the names that its documentation has for JSON.
	Options map[string]string `yaml:"options"`
}
