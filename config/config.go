package config

import "time"

// Config is a checked configuration.
type Config struct {
	// Where clients connect. A map: the names are yours, and are used by routes
	// and logs. They have letters, digits, `-` and `_`, 64 at most.
	Listeners []Listener `yaml:"listeners,required"`

	// What serves requests. A map like `listeners`; routes use the names. It can be
	// left out if all routes redirect or respond.
	Backends []Backend `yaml:"backends"`

	// What happens to requests. A list: the first route that matches wins. A
	// request that matches none gets 404; a raw message that matches none closes
	// its connection.
	Routes []Route `yaml:"routes,required" example:"{backend: VALUE}|site"`

	// Files with more listeners, backends and routes, as in `[sites/*.yaml]`: names
	// of files, or patterns, whose files are read in the order of their names. A
	// pattern may match none; `*` matches no name that begins with a dot. Paths
	// in such a file start at its own folder. Its routes come before those of this
	// file, so that this file can end with a route for all else.
	Include []string `yaml:"include"`

	// Pages for errors, of all routes that don't have their own, and where no route
	// matches.
	ErrorPages *ErrorPages `yaml:"error_pages" example:"{pages: {5xx: VALUE}}|errors/5xx.html"`

	// Limits of the whole daemon.
	Limits Limits `yaml:"limits"`

	// Networks and addresses of HTTP proxies in front of mkd, as in `10.0.0.0/8`,
	// whose reports about clients are believed: the field `client_ip_field`,
	// `X-Forwarded-Proto` and `X-Forwarded-Host`. From others these fields are
	// dropped.
	TrustedProxies []string `yaml:"trusted_proxies" format:"network"`

	// The field in which trusted proxies report the client's address.
	// `X-Forwarded-For` is a list: the client is the rightmost address that isn't
	// in `trusted_proxies`; without that field, `Forwarded` is used. `Forwarded`
	// (RFC 7239) is such a list too, which also has the scheme and the host; take
	// it if your proxies set no `X-Forwarded-For`. Any other field, as `X-Real-IP`
	// or `CF-Connecting-IP`, has one address.
	ClientIPField string `yaml:"client_ip_field" default:"X-Forwarded-For" format:"client-field"`

	// What must outlive the daemon: a folder, or a block.
	Storage Storage `yaml:"storage" example:"VALUE|storage"`

	// Megaki sessions, which clients resume.
	Sessions Sessions `yaml:"sessions"`

	// Where commands such as `mkd reload` reach the running daemon.
	Admin Admin `yaml:"admin" example:"{address: VALUE}|unix:/run/mkd/admin.sock"`

	// What is logged, and where to.
	Log Log `yaml:"log" example:"{level: VALUE}|debug"`

	// How long requests in flight may take to end when mkd stops. After that they
	// are cut off.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" default:"30s" range:"1ms..24h"`

	// How long `mkd drain` fails the readiness check before mkd stops: as long as the
	// load balancer in front takes to notice.
	DrainDelay time.Duration `yaml:"drain_delay" default:"5s" range:"0..1h"`

	// Warnings are about what is valid but odd, sorted by position.
	Warnings []Error `yaml:"-"`

	positions map[string]string // see Position
}

// Backend serves requests. It has exactly one of the kinds below.
type Backend struct {
	// The key of the backend in the map.
	Name string `yaml:",name"`

	// PHP workers that mkd runs.
	PHP *PHP `yaml:"php,kind" example:"{script: VALUE}|app.php"`

	// Servers that speak HTTP/1.1 or HTTP/2.
	HTTP *HTTPBackend `yaml:"http,kind" example:"{upstreams: [{url: VALUE}]}|http://127.0.0.1:9000"`

	// PHP-FPM, or another FastCGI server, and the files of its site.
	FastCGI *FastCGI `yaml:"fastcgi,kind" example:"{addresses: [VALUE], root: public}|127.0.0.1:9000"`

	// Files of a folder.
	Files *Files `yaml:"files,kind" example:"{root: VALUE}|public"`
}

// Kind returns the key of the section that the backend has, "" if it isn't valid.
func (b *Backend) Kind() string { return kindOf(b) }

// Limits hold for the whole daemon.
type Limits struct {
	// What the messages of all connections may take together. Memory is taken
	// as bytes arrive, whatever length a client announces. At least twice the
	// largest `max_message`, for a message and its response, and 1 MiB. While more
	// than 75 % is in use, a client address (an IPv4 address, or an IPv6 /64) gets
	// more only if it then holds at most three times what was free. A quarter as
	// much again is for the MACs that open connections remember.
	MessageMemory Size `yaml:"message_memory" default:"256MiB" range:"1MiB..1TiB"`

	// What the clients of all HTTP and HTTPS listeners may have sent that isn't read yet:
	// headers that are longer than 4 KiB, bodies over HTTP/2 and HTTP/3 (up to 256 KiB on
	// a connection), TLS handshakes that aren't done (128 KiB each), HTTP/3 connections
	// (96 KiB each), and all but one of the requests of each whose headers aren't complete
	// (8 KiB each, besides long headers). It is shared as `message_memory` is. Requests
	// beyond it get 503, or are rejected if their headers aren't complete; connections that
	// would begin a handshake are closed.
	HTTPMemory Size `yaml:"http_memory" default:"256MiB" range:"1MiB..1TiB"`

	// Bodies that are buffered until they are complete, before a backend gets
	// them, as those for FastCGI.
	Spool Spool `yaml:"spool"`
}
