package config

import "time"

// Listener is where clients connect. It has exactly one of the kinds below.
type Listener struct {
	// The key of the listener in the map.
	Name string `yaml:",name"`

	// For clients that speak Megaki.
	Megaki *Megaki `yaml:"megaki,kind" example:"{address: VALUE, keys: [server.key]}|:6363"`

	// For browsers and other clients that speak HTTPS.
	HTTPS *HTTPS `yaml:"https,kind" example:"{address: VALUE, tls: {cert: c.pem, key: k.pem}}|:443"`

	// For clients that speak plain HTTP.
	HTTP *HTTP `yaml:"http,kind" example:"{address: VALUE}|:80"`
}

// Kind returns the key of the section that the listener has, "" if it isn't valid.
func (l *Listener) Kind() string { return kindOf(l) }

// socket has nil pointers if the listener has no kind.
func (l *Listener) socket() socket {
	if sections := sectionsOf(l); len(sections) > 0 {
		return sections[0].kind.(listenerKind).socket()
	}
	return socket{}
}

// Address returns where the listener listens.
func (l *Listener) Address() string { return *l.socket().address }

// MaxConnections returns the most connections that the listener has open at once.
func (l *Listener) MaxConnections() int { return *l.socket().maxConnections }

// MaxConnectionsPerIP returns the most connections of a client, 0 for no fixed limit.
func (l *Listener) MaxConnectionsPerIP() int { return *l.socket().maxConnectionsPerIP }

// ProxyFrom returns the networks of load balancers that send PROXY headers.
func (l *Listener) ProxyFrom() []string { return *l.socket().proxyFrom }

// Web returns what HTTP and HTTPS listeners have in common, nil for a Megaki listener.
func (l *Listener) Web() *Web {
	switch {
	case l.HTTPS != nil:
		return &l.HTTPS.Web
	case l.HTTP != nil:
		return &l.HTTP.Web
	}
	return nil
}

// Megaki is a listener on a TCP port that speaks Megaki v1.
type Megaki struct {
	// Where to listen, as `host:port`. Without a host, as in `:6363`, it is
	// all addresses of the machine. Port 0 takes any free port.
	Address string `yaml:"address,required" format:"address"`

	// The server's private keys: RSA-2048, PEM. They are tried in turn, so
	// that a new key can be served beside the old one. `mkd keygen` makes one.
	// A list of paths, or of blocks.
	Keys []Key `yaml:"keys,required" example:"VALUE|server.key"`

	// A file with the signed list of current and coming keys, as `mkd key sign`
	// makes it. Clients get it by `GET /.well-known/megaki/keys` in a message, which
	// no route sees then. Empty: there is none, and routes see such requests.
	KeyList string `yaml:"key_list" default:"" path:"newfile"`

	// A file with the passphrase of keys that are encrypted. Line ends at its
	// end don't count.
	KeyPassphraseFile string `yaml:"key_passphrase_file" default:"" path:"secret"`

	// What messages are: `http`, each is an HTTP/1.x request; `raw`, bytes
	// without a meaning to mkd; `auto`, what starts with an HTTP/1.x request
	// line is `http`, anything else `raw`.
	Payload Payload `yaml:"payload" default:"auto" oneof:"auto http raw"`

	// The largest message, in plaintext, both ways.
	MaxMessage Size `yaml:"max_message" default:"1MiB" range:"1B..64MiB"`

	// The most header fields of an HTTP request in a message; one with more gets
	// 431.
	MaxFields int `yaml:"max_fields" default:"200" range:"1..10000"`

	// How many messages a client may send under one key. Then the connection
	// closes after a response, and the client resumes with a new key. Each takes
	// 22 to 43 bytes of memory while the connection is open.
	MaxMessagesPerKey int `yaml:"max_messages_per_key" default:"16384" range:"1..1048576"`

	// From the accepted connection to the end of the handshake, absolute.
	// libsazukari makes its RSA key within that time, which takes a slow phone
	// some seconds.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" default:"30s" range:"1ms..24h"`

	// From a message's first byte to its last.
	MessageTimeout time.Duration `yaml:"message_timeout" default:"60s" range:"1ms..24h"`

	// For writing a response.
	WriteTimeout time.Duration `yaml:"write_timeout" default:"60s" range:"1ms..24h"`

	// Between a response and the next message.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"5m" range:"1ms..8760h"`

	// Connections open at once. More wait to be accepted. Each takes a
	// descriptor: see `ulimit -Hn`, in systemd `LimitNOFILE=`.
	MaxConnections int `yaml:"max_connections" default:"20000" range:"1..1000000"`

	// Connections open at once from one client address: an IPv4 address, or an
	// IPv6 /64. More are closed at once. 0: no fixed limit; but while more than
	// 75 % of `max_connections` are open, one client may have at most three times
	// as many as are still free, so that it cannot take them all. Many phones
	// behind one carrier NAT count as one client. Neither limit applies to
	// `trusted_proxies`; behind `proxy_protocol` the client in the header counts.
	MaxConnectionsPerIP int `yaml:"max_connections_per_ip" default:"0" range:"0..1000000"`

	// A limit of handshakes for each client address: an IPv4 address, or an
	// IPv6 /64.
	HandshakesPerIP HandshakesPerIP `yaml:"handshakes_per_ip" example:"{rate: VALUE, burst: 20}|10"`

	// Load balancers in front of this listener.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol" example:"{from: [VALUE]}|10.0.0.0/8"`
}

// socket implements listenerKind.
func (m *Megaki) socket() socket {
	return socket{&m.Address, &m.MaxConnections, &m.MaxConnectionsPerIP, &m.ProxyProtocol.From}
}

// check implements kind.
func (m *Megaki) check(w *walker, _ *Config) { w.checkKeys(m) }

// warn implements kind.
func (m *Megaki) warn(w *walker, _ *Config) {
	w.warnKeys(m)
	if m.HandshakesPerIP.Burst > 0 && m.HandshakesPerIP.Rate == 0 {
		w.odd(&m.HandshakesPerIP.Burst, "it has no effect without a rate, so handshakes aren't limited; set rate too")
	}
}

// HandshakesPerIP limits the handshakes of each client address. Even without
// a limit, the work of handshakes is shared fairly between addresses.
type HandshakesPerIP struct {
	// Handshakes a second, on average; 0.1 is one in ten seconds. 0: no limit.
	Rate float64 `yaml:"rate" default:"0" range:"0..1000000"`

	// How many may come at once after a pause. 0 counts as 1.
	Burst int `yaml:"burst" default:"0" range:"0..1000000"`
}

// Payload is what a message carries.
type Payload string

// The payloads.
const (
	PayloadAuto Payload = "auto" // decided by the first line of each message
	PayloadHTTP Payload = "http" // one HTTP/1.x request
	PayloadRaw  Payload = "raw"  // opaque bytes
)

// ProxyProtocol is about load balancers that send the client's address at the
// front of each connection, by the PROXY protocol, v1 or v2.
type ProxyProtocol struct {
	// Networks and addresses that they connect from, as in `10.0.0.0/8`. From
	// there a connection must begin with a PROXY header, from elsewhere it
	// can't. None: no connection has one.
	From []string `yaml:"from" format:"network"`
}
