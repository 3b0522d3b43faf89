package config

import "time"

// HTTPS is a listener that speaks HTTP/1.1 and HTTP/2 over TLS.
type HTTPS struct {
	// Where to listen, as `host:port`. Without a host, as in `:443`, it is all
	// addresses of the machine. Port 0 takes any free port.
	Address string `yaml:"address,required" format:"address"`

	// The names that certificates are for: `example.org`, `*.example.org`.
	// Needed by `acme` and `internal`.
	Hosts []string `yaml:"hosts" format:"host"`

	// Where certificates come from.
	TLS TLS `yaml:"tls,required"`

	Web
}

// HTTP is a listener that speaks plain HTTP/1.1.
type HTTP struct {
	// Where to listen, as `host:port`. Without a host, as in `:80`, it is all
	// addresses of the machine. Port 0 takes any free port.
	Address string `yaml:"address,required" format:"address"`

	// Whether every request is answered with a redirect to its HTTPS address.
	// Certificates are asked for through this listener all the same.
	RedirectHTTPS bool `yaml:"redirect_https" default:"false"`

	Web
}

// Web is what HTTPS and HTTP listeners have in common.
type Web struct {
	// From the first byte of a request to the end of its header.
	HeaderTimeout time.Duration `yaml:"header_timeout" default:"10s" range:"1ms..24h"`

	// How long a request's body may stand still. A body that comes slowly but
	// steadily isn't cut off: see `min_rate`.
	BodyTimeout time.Duration `yaml:"body_timeout" default:"60s" range:"1ms..24h"`

	// How many bytes of a request's body must come in a second, on average,
	// once `body_timeout` has passed. 0: it may be as slow as it likes.
	MinRate Size `yaml:"min_rate" default:"240B" range:"0B..1GiB"`

	// How long the client may take no byte of an answer.
	WriteTimeout time.Duration `yaml:"write_timeout" default:"60s" range:"1ms..24h"`

	// Between an answer and the next request on a connection.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"2m" range:"1ms..8760h"`

	// The longest header of a request.
	MaxHeader Size `yaml:"max_header" default:"64KiB" range:"1KiB..1MiB"`

	// Connections open at once. More wait to be accepted. Each takes a
	// descriptor: see `ulimit -Hn`, in systemd `LimitNOFILE=`.
	MaxConnections int `yaml:"max_connections" default:"20000" range:"1..1000000"`

	// Load balancers before this listener.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
}

// TLS says where the certificates of a listener come from: `acme`, or `cert` and
// `key`, or `internal`.
type TLS struct {
	// Certificates that mkd gets, and renews, from a certificate authority.
	ACME *ACME `yaml:"acme"`

	// A PEM file with the certificate and those that lead to its authority. It
	// is read anew when it changes.
	Cert string `yaml:"cert" path:"file"`

	// A PEM file with the key of `cert`.
	Key string `yaml:"key" path:"key"`

	// Whether mkd signs a certificate by itself, for development: clients have
	// to be told to trust it.
	Internal bool `yaml:"internal" default:"false"`
}

// ACME is about a certificate authority that gives out certificates to those
// who answer for a name (RFC 8555). It asks the machine that the name leads to:
// on port 80, which an `http` listener has to serve (http-01), or on port 443,
// which this listener has to (tls-alpn-01).
type ACME struct {
	// Where the authority sends warnings to.
	Email string `yaml:"email" default:""`

	// Must be true: you agree to the authority's terms of service.
	AgreeTerms bool `yaml:"agree_terms" default:"false"`

	// The directory of the authority.
	CA string `yaml:"ca" default:"https://acme-v02.api.letsencrypt.org/directory" format:"url"`

	// A PEM file with the certificate that the authority's own server is
	// trusted by, if it isn't known to this machine.
	CARoot string `yaml:"ca_root" default:"" path:"file"`
}
