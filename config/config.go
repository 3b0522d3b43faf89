package config

import "time"

// Config is a checked configuration.
type Config struct {
	// The doors that clients come in by. A map: the names are yours, and are
	// used by routes and logs. They have letters, digits, `-` and `_`, 64 at
	// most.
	Listeners []Listener `yaml:"listeners,required"`

	// What answers requests. A map like `listeners`; routes use the names.
	Backends []Backend `yaml:"backends,required"`

	// Which backend answers what. A list: the first route that matches wins.
	// What matches none gets 404; a raw message that matches none closes its
	// connection.
	Routes []Route `yaml:"routes,required"`

	// Limits of the whole daemon.
	Limits Limits `yaml:"limits"`

	// Megaki sessions, which clients resume.
	Sessions Sessions `yaml:"sessions"`

	// What is logged, to standard error.
	Log Log `yaml:"log"`

	// How long requests under way may take to end once mkd is told to stop.
	// After that they are cut off.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" default:"30s" range:"1ms..24h"`

	// Warnings are about what is right but odd, sorted by place.
	Warnings []Error `yaml:"-"`
}

// Listener is a door that clients come in by. It has exactly one of the kinds
// below.
type Listener struct {
	// The key of the listener in the map.
	Name string `yaml:",name"`

	// A door for clients that speak Megaki.
	Megaki *Megaki `yaml:"megaki,kind"`
}

// Megaki is a listener on a TCP port that speaks Megaki v1.
type Megaki struct {
	// Where to listen, as `host:port`. Without a host, as in `:6363`, it is
	// all addresses of the machine. Port 0 takes any free port.
	Address string `yaml:"address,required" format:"address"`

	// The server's private keys: RSA-2048, PEM. They are tried in turn, so
	// that a new key can be served beside the old one. `mkd keygen` makes one.
	Keys []string `yaml:"keys,required" path:"key"`

	// A file with the passphrase of keys that are encrypted. Line ends at its
	// end don't count.
	KeyPassphraseFile string `yaml:"key_passphrase_file" default:"" path:"secret"`

	// What messages are: `http`, each is an HTTP/1.x request; `raw`, bytes
	// without a meaning to mkd; `auto`, what starts with an HTTP/1.x request
	// line is `http`, anything else `raw`.
	Payload Payload `yaml:"payload" default:"auto" oneof:"auto http raw"`

	// The largest message, in plaintext, both ways.
	MaxMessage Size `yaml:"max_message" default:"1MiB" range:"1B..64MiB"`

	// How many messages a client may send under one key. Then the connection
	// closes after an answer, and the client resumes with a new key. Each
	// takes up to 32 bytes of memory as long as the connection lives.
	MaxMessagesPerKey int `yaml:"max_messages_per_key" default:"16384" range:"1..1048576"`

	// From the accepted connection to the end of the handshake, absolute.
	// libsazukari makes its RSA key within that time, which takes a slow phone
	// some seconds.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" default:"30s" range:"1ms..24h"`

	// From a message's first byte to its last.
	MessageTimeout time.Duration `yaml:"message_timeout" default:"60s" range:"1ms..24h"`

	// For writing an answer.
	WriteTimeout time.Duration `yaml:"write_timeout" default:"60s" range:"1ms..24h"`

	// Between an answer and the next message.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"5m" range:"1ms..8760h"`

	// Connections open at once. More wait to be accepted. Each takes a
	// descriptor: see `ulimit -Hn`, in systemd `LimitNOFILE=`.
	MaxConnections int `yaml:"max_connections" default:"20000" range:"1..1000000"`

	// A limit of handshakes for each client address: an IPv4 address, or an
	// IPv6 /64.
	HandshakesPerIP HandshakesPerIP `yaml:"handshakes_per_ip"`
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
	PayloadAuto Payload = "auto" // told by the first line of each message
	PayloadHTTP Payload = "http" // one HTTP/1.x request
	PayloadRaw  Payload = "raw"  // opaque bytes
)

// Backend is what answers requests. It has exactly one of the kinds below.
type Backend struct {
	// The key of the backend in the map.
	Name string `yaml:",name"`

	// PHP workers that mkd runs.
	PHP *PHP `yaml:"php,kind"`
}

// Route sends what matches to a backend.
type Route struct {
	// What the route takes. Without it, every HTTP request.
	Match Match `yaml:"match"`

	// The name of the backend.
	Backend string `yaml:"backend,required"`

	// How long the backend may take for a request of this route, waiting for
	// a worker included. 0: the backend's own timeouts alone.
	Timeout time.Duration `yaml:"timeout" default:"0" range:"0..24h"`
}

// Match says what a route takes. All conditions must hold.
type Match struct {
	// Messages of this payload. Without it, HTTP requests only: a raw message
	// goes where a route says `raw`, and nowhere else, so that a mistyped
	// HTTP request is never handed on as a raw message.
	Payload Payload `yaml:"payload" oneof:"http raw"`

	// Names of listeners. Without it, all of them.
	Listeners []string `yaml:"listeners"`
}

// Limits hold for the whole daemon.
type Limits struct {
	// What the messages of all connections may take together. Memory is taken
	// as bytes arrive, whatever length a client announces. At least twice the
	// largest `max_message`, for a message and its answer, and 1 MiB.
	MessageMemory Size `yaml:"message_memory" default:"256MiB" range:"1MiB..1TiB"`
}

// Sessions is about Megaki sessions, which a client resumes on a new
// connection. They are kept in memory, and end with the daemon.
type Sessions struct {
	// How long a session can be resumed, counted from its handshake.
	TTL time.Duration `yaml:"ttl" default:"24h" range:"1ms..8760h"`

	// How many sessions are kept; then the least recently used is forgotten.
	// Each takes about 0.5 KiB.
	Capacity int `yaml:"capacity" default:"100000" range:"1..100000000"`
}

// Log says what is logged, and how. Logs go to standard error.
type Log struct {
	// The least level that is logged.
	Level string `yaml:"level" default:"info" oneof:"debug info warn error"`

	// `console` is for reading, `json` for machines; `auto` is `console` on a
	// terminal and `json` elsewhere.
	Format string `yaml:"format" default:"auto" oneof:"auto console json"`

	// Whether each request makes a line, whatever the level.
	Access bool `yaml:"access" default:"true"`
}
