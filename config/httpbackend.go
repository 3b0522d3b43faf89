package config

import (
	"strings"
	"time"
)

// HTTPBackend is a backend of one or more servers that speak HTTP/1.1 or HTTP/2.
type HTTPBackend struct {
	// The servers.
	Upstreams []Upstream `yaml:"upstreams,required" example:"{url: VALUE}|http://127.0.0.1:9000"`

	// How requests are shared among the servers.
	Balance Balance `yaml:"balance" example:"{by: VALUE}|least_conn"`

	// Sends a client to the server that it had first, by a cookie.
	Sticky *Sticky `yaml:"sticky" example:"{cookie: VALUE}|server"`

	// Asks the servers whether they are well. Without it a server counts as
	// down only for a while after it couldn't be reached or broke off.
	Health *Health `yaml:"health" example:"{path: VALUE}|/healthz"`

	// For connecting to a server, its TLS handshake included.
	DialTimeout time.Duration `yaml:"dial_timeout" default:"5s" range:"1ms..24h"`

	// From the last part of a request that the server took to the end of the header of
	// the response.
	ResponseTimeout time.Duration `yaml:"response_timeout" default:"60s" range:"1ms..24h"`

	// How long the body of a response may make no progress.
	ReadTimeout time.Duration `yaml:"read_timeout" default:"60s" range:"1ms..24h"`

	// How long a connection without a request is kept.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"30s" range:"1ms..24h"`

	// How often the names of servers are looked up, while there are requests. New
	// connections are spread over all addresses of a name, and those to an address that
	// is gone aren't used again. If a look-up fails, the last addresses stay.
	ResolveInterval time.Duration `yaml:"resolve_interval" default:"10s" range:"1s..1h"`

	// Connections to each server at once. 0: no limit. While more than 75 % of them are in
	// use, one client may use at most three times as many as are still free, so that it
	// cannot take them all. `trusted_proxies` speak for many clients. Health checks don't
	// count: they have a connection of their own if need be.
	MaxConnections int `yaml:"max_connections" default:"0" range:"0..1000000"`

	// How many requests may wait for a connection to each server, once all
	// `max_connections` are in use. Clients, that is IPv4 addresses or IPv6 networks of 64
	// bits, take turns. If more requests come, the client that has most requests waiting
	// loses its newest one, which gets 503.
	Queue int `yaml:"queue" default:"1024" range:"1..1000000"`

	// How long a request may wait for a connection; then it gets 503.
	QueueTimeout time.Duration `yaml:"queue_timeout" default:"10s" range:"1ms..24h"`

	// The Host that servers see: `pass`, what the client asked for; `upstream`,
	// the host and port of the server's URL, `localhost` for a socket. A `Host`
	// that a route sets comes before both.
	Host string `yaml:"host" default:"pass" oneof:"pass upstream"`

	// Whether cookies that servers set for themselves are rewritten for the
	// client: a `Domain` that is the server's host is removed, and `Path` gets the
	// `strip_prefix` of the route. `Location` and `Refresh` fields that lead to
	// the server itself are always rewritten.
	RewriteCookies bool `yaml:"rewrite_cookies" default:"false"`

	// How servers with an https or h2 URL are trusted, and mkd's own certificate for them.
	TLS UpstreamTLS `yaml:"tls"`

	// Has each connection to a server begin with the header of the PROXY protocol, in
	// version `v1` or `v2`, which has the client's address. A connection then serves
	// one request.
	ProxyProtocol string `yaml:"proxy_protocol" oneof:"v1 v2"`

	// Whether mkd receives a whole request before it connects to a server, and takes
	// the response as fast as the server sends it. Clients that are slow then hold no
	// connection of a small server, as of Gunicorn or Unicorn. What waits is kept
	// within the bounds of `limits.spool`. Streams, as server-sent events, stay
	// streams.
	Buffer bool `yaml:"buffer" default:"false"`

	// Files that mkd sends when a server names one in X-Accel-Redirect or X-Sendfile.
	SendFile *SendFile `yaml:"send_file" example:"{root: VALUE}|private"`
}

// Upstream is a server of a backend.
type Upstream struct {
	// Where it is: `http://host:port`, `https://host:port`, or `unix:/path` of
	// a socket, for HTTP/1.1; `h2c://host:port` for HTTP/2 without TLS, and
	// `h2://host:port` for HTTP/2 over TLS, as gRPC needs it. Servers of one backend
	// speak the same version. Without a port it is 80, or 443 with TLS. A socket
	// needn't exist yet; its path has 107 bytes at most.
	URL string `yaml:"url,required" format:"upstream"`

	// Its share of the requests, in proportion to the weights of the others.
	Weight int `yaml:"weight" default:"1" range:"1..1000"`

	// Whether it gets requests only while no other server of the backend can take them: a
	// server elsewhere, or one with a page that asks for patience.
	Backup bool `yaml:"backup" default:"false"`
}

// Balance configures how requests are shared among servers.
type Balance struct {
	// `round_robin`: in turn; `least_conn`: to the one with the fewest requests
	// in flight; `random_two`: to the less busy of two that are picked at
	// random; `ip_hash`: those of a client address (IPv6: of a /64) to the same one;
	// `header`: those with the same value of `header` to the same one. If servers come
	// or go, only the clients or values of these move.
	By string `yaml:"by" default:"round_robin" oneof:"round_robin least_conn random_two ip_hash header"`

	// The field whose value decides, with `by: header`. Requests without it are
	// shared in turn.
	Header string `yaml:"header" default:"" format:"hashed-field"`

	// How many failures within `fail_timeout` take a server out. It counts if a
	// server isn't reached, and apart from that, if a response doesn't begin in
	// time, is malformed or cut off. The latter count ends with each response
	// that succeeds, and never takes the last server out. A server that refuses
	// connections is taken out at once. 0: failures take no server out.
	MaxFails int `yaml:"max_fails" default:"3" range:"0..1000"`

	// The time in which `max_fails` are counted, and the longest for which a
	// server is taken out: 1s at first, and twice as long each time that it
	// still fails then. While all are out, each is tried every second.
	FailTimeout time.Duration `yaml:"fail_timeout" default:"10s" range:"1s..1h"`
}

// SpeaksHTTP2 reports whether the server with a checked URL speaks HTTP/2.
func SpeaksHTTP2(url string) bool {
	return strings.HasPrefix(url, "h2:") || strings.HasPrefix(url, "h2c:")
}

// Sticky sends a client to the server that it had first, as long as that is up; then
// to another, which it keeps. Clients without the cookie are shared by `balance`.
type Sticky struct {
	// The name of the cookie. It lasts until the browser is closed, is HttpOnly and
	// SameSite=Lax, and is Secure if the client came by TLS. Its value is a keyed hash
	// of the server's URL, which reveals nothing about it.
	Cookie string `yaml:"cookie,required" format:"cookie"`

	// A file with the secret for these hashes: 32 random bytes at least, as
	// `openssl rand -hex 32` prints them. Nodes with the same secret send a client to
	// the same server. Empty: the secret is random, and clients may move to another
	// server when mkd restarts.
	SecretFile string `yaml:"secret_file" default:"" path:"secret"`
}

// Health configures health checks of servers. A server counts as healthy until
// `fall` checks in a row have failed.
type Health struct {
	// What is asked for, by GET: a path, and a query if need be.
	Path string `yaml:"path" default:"/" format:"target"`

	// Fields of the request, as `Host`.
	Headers map[string]string `yaml:"headers" format:"set-header" example:"{Host: app.example.org}"`

	// Between two requests.
	Interval time.Duration `yaml:"interval" default:"5s" range:"100ms..24h"`

	// How long a response may take.
	Timeout time.Duration `yaml:"timeout" default:"2s" range:"1ms..1h"`

	// The status that means well, from 200 on. 0: any from 200 to 399.
	Status int `yaml:"status" default:"0" range:"0..599"`

	// How many good responses in a row bring a server back.
	Rise int `yaml:"rise" default:"2" range:"1..1000"`

	// How many bad ones in a row take it out.
	Fall int `yaml:"fall" default:"3" range:"1..1000"`
}

// UpstreamTLS configures how servers with an https or h2 URL are trusted, and how mkd shows
// them who it is. They need TLS 1.2 at least.
type UpstreamTLS struct {
	// A PEM file with the certificates of the authorities that are trusted.
	// Empty: those of this machine.
	CA string `yaml:"ca" default:"" path:"file"`

	// The name that servers are asked for (SNI), and that their certificates
	// must have. Empty: the host of the URL.
	ServerName string `yaml:"server_name" default:"" format:"server"`

	// Whether any certificate is taken. Whoever sits between mkd and the server
	// can then read and change everything.
	Insecure bool `yaml:"insecure" default:"false"`

	// A PEM file with mkd's own certificate, for servers that ask for one, and after
	// it those that lead to its authority. It and `key` are read at the start and by
	// `mkd reload`.
	Cert string `yaml:"cert" default:"" path:"file"`

	// A PEM file with the private key of `cert`.
	Key string `yaml:"key" default:"" path:"tlskey"`
}
