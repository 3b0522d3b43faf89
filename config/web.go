package config

import (
	"slices"
	"time"
)

// HTTPS is a listener that speaks HTTP/1.1 and HTTP/2 over TLS, and HTTP/3 with `http3`.
type HTTPS struct {
	// Where to listen, as `host:port`. Without a host, as in `:443`, it is all
	// addresses of the machine. Port 0 takes any free port.
	Address string `yaml:"address,required" format:"address 443"`

	// The names that the certificate of `tls` itself is for, and that clients may ask
	// for (SNI): `example.org`, or `*.example.org` for names with one label more. A
	// client that asks for a name of no certificate is rejected; one that asks for none
	// gets the first certificate. Needed by `acme` and `internal`; with `cert`, none means
	// whatever names it has.
	Hosts []string `yaml:"hosts" format:"name"`

	// Where certificates come from, and what else TLS needs.
	TLS TLS `yaml:"tls,required" example:"{cert: c.pem, key: k.pem}"`

	// Whether the listener speaks HTTP/3 as well, over UDP at the same address and port.
	// Clients learn that from the field Alt-Svc of its other responses. All limits hold
	// for the connections of both together; those of UDP don't wait beyond
	// `max_connections`, but are refused.
	HTTP3 bool `yaml:"http3" default:"false"`

	Web
}

// HTTP is a listener that speaks plain HTTP/1.1, and with `h2c` HTTP/2 too.
type HTTP struct {
	// Where to listen, as `host:port`. Without a host, as in `:80`, it is all
	// addresses of the machine. Port 0 takes any free port.
	Address string `yaml:"address,required" format:"address 80"`

	// Whether the response to every request is a redirect (308) to the same
	// address with `https://`; no route takes anything from this listener then.
	// Authorities can still ask for certificates through it.
	RedirectHTTPS bool `yaml:"redirect_https" default:"false"`

	// Whether clients may speak HTTP/2 here without TLS, which they have to know (h2c
	// with prior knowledge), as those of gRPC within a network.
	H2C bool `yaml:"h2c" default:"false"`

	Web
}

// Web is what HTTPS and HTTP listeners have in common.
type Web struct {
	// From the first byte of a request to the end of its header, absolute.
	HeaderTimeout time.Duration `yaml:"header_timeout" default:"10s" range:"1ms..24h"`

	// How long a request's body may make no progress. A body that arrives slowly but
	// steadily isn't cut off: see `min_rate`.
	BodyTimeout time.Duration `yaml:"body_timeout" default:"60s" range:"1ms..24h"`

	// How many bytes of a request's body must arrive in a second, on average,
	// once `body_timeout` has passed since it began. 0: it may be as slow as it
	// likes.
	MinRate Size `yaml:"min_rate" default:"240B" range:"0B..1GiB"`

	// How long the client may take no byte of a response.
	WriteTimeout time.Duration `yaml:"write_timeout" default:"60s" range:"1ms..24h"`

	// Between a response and the next request on a connection.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"2m" range:"1ms..8760h"`

	// The longest header of a request, its first line included; a longer one
	// gets 431.
	MaxHeader Size `yaml:"max_header" default:"64KiB" range:"1KiB..1MiB"`

	// The most header fields of a request; one with more gets 431.
	MaxFields int `yaml:"max_fields" default:"200" range:"1..10000"`

	// Connections open at once. More wait to be accepted. Each takes a
	// descriptor: see `ulimit -Hn`, in systemd `LimitNOFILE=`.
	MaxConnections int `yaml:"max_connections" default:"20000" range:"1..1000000"`

	// Connections open at once from one client address: an IPv4 address, or an
	// IPv6 /64. More are closed at once. 0: no fixed limit; but while more than
	// 75 % of `max_connections` are open, one client may have at most three times
	// as many as are still free, so that it cannot take them all. Neither limit
	// applies to `trusted_proxies`; behind `proxy_protocol` the client in the
	// header counts.
	MaxConnectionsPerIP int `yaml:"max_connections_per_ip" default:"0" range:"0..1000000"`

	// Requests in flight at once. More get 503. While more than 75 % of them are
	// in flight, one client, an IPv4 address or an IPv6 /64, may have at most three
	// times as many as are still free, so that it cannot take them all. An HTTP/2
	// request takes about 25 KiB of memory.
	MaxRequests int `yaml:"max_requests" default:"8192" range:"1..1000000"`

	// Requests in flight at once on one HTTP/2 connection. A client waits before it
	// sends more.
	MaxStreams int `yaml:"max_streams" default:"100" range:"1..1000"`

	// Load balancers in front of this listener.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
}

func (web *Web) socket(address *string) socket {
	return socket{address, &web.MaxConnections, &web.MaxConnectionsPerIP, &web.ProxyProtocol.From}
}

// socket implements listenerKind.
func (h *HTTPS) socket() socket { return h.Web.socket(&h.Address) }

// socket implements listenerKind.
func (h *HTTP) socket() socket { return h.Web.socket(&h.Address) }

// check implements kind.
func (h *HTTP) check(*walker, *Config) {}

// warn implements kind.
func (h *HTTP) warn(w *walker, cfg *Config) {
	if h.RedirectHTTPS && !slices.ContainsFunc(cfg.Listeners, func(l Listener) bool { return l.HTTPS != nil }) {
		w.odd(&h.RedirectHTTPS, "there is no https listener that clients could be sent to")
	}
}
