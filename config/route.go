package config

import "time"

// Route says what becomes of the requests that match: it has exactly one of
// `backend`, `redirect` and `respond`.
type Route struct {
	// What the route takes. Without it, every HTTP request.
	Match Match `yaml:"match"`

	// The name of the backend that answers.
	Backend string `yaml:"backend,kind"`

	// Sends the client elsewhere.
	Redirect *Redirect `yaml:"redirect,kind"`

	// Answers at once.
	Respond *Respond `yaml:"respond,kind"`

	// Takes raw messages as well, and makes HTTP requests of them. PHP scripts
	// with an `on_handle` get the message as it is all the same.
	Raw *Raw `yaml:"raw"`

	// What is taken off the front of the path before the backend sees it, as
	// in `/api`. Paths without it are handed on as they are.
	StripPrefix string `yaml:"strip_prefix" default:"" format:"prefix"`

	// Changes of header fields.
	Headers Headers `yaml:"headers"`

	// How long the backend may take for a request of this route until its
	// answer begins, waiting included, and how long the answer may then stand
	// still. 0: the backend's own timeouts alone.
	Timeout time.Duration `yaml:"timeout" default:"0" range:"0..24h"`

	// The largest body of a request; a larger one gets 413. 0: no limit.
	MaxBody Size `yaml:"max_body" default:"100MiB" range:"0B..1TiB"`

	// A limit of requests; more get 429.
	RateLimit *RateLimit `yaml:"rate_limit"`
}

// Match says what a route takes. All conditions that are given must hold. Raw
// messages have no host, path, method or header.
type Match struct {
	// Messages of this payload. Without it, HTTP requests only: a raw message
	// goes where a route says `raw`, and nowhere else, so that a mistyped
	// HTTP request is never handed on as a raw message.
	Payload Payload `yaml:"payload" oneof:"http raw"`

	// Names of listeners. Without it, all of them.
	Listeners []string `yaml:"listeners"`

	// Hosts: `example.org`, or `*.example.org` for all names below it. Ports
	// don't count.
	Hosts []string `yaml:"hosts" format:"host"`

	// Paths: `/about` is that path alone, `/api/*` all below `/api/`, `*.php`
	// all that end so. They are compared with the path after dot segments and
	// double slashes are resolved; upper and lower case differ.
	Paths []string `yaml:"paths" format:"path"`

	// Methods, as in `GET`.
	Methods []string `yaml:"methods" format:"method"`

	// Header fields and their values, which must be equal; `*` is any value.
	Headers map[string]string `yaml:"headers" format:"header"`

	// Networks of clients, as in `10.0.0.0/8`.
	From []string `yaml:"from" format:"network"`
}

// Redirect sends the client elsewhere.
type Redirect struct {
	// The address. `{host}` stands for the host of the request, `{path}` for
	// its path, `{uri}` for its path and query.
	To string `yaml:"to,required" format:"location"`

	// The status: 301 and 308 are for good, 302, 303 and 307 for now. After
	// 307 and 308 the client repeats the same method with the same body.
	Status int `yaml:"status" default:"302" range:"301..308"`
}

// Respond answers at once.
type Respond struct {
	// The status.
	Status int `yaml:"status" default:"200" range:"200..599"`

	// The body, as text. Without it, the status in words.
	Body string `yaml:"body" default:""`
}

// Raw says what request is made of a raw message, whose bytes are its body. Of
// the answer only the body of a 2xx goes back to the client; anything else
// closes the connection.
type Raw struct {
	// The method.
	Method string `yaml:"method" default:"POST" format:"method"`

	// The path, and a query if need be.
	Path string `yaml:"path" default:"/" format:"target"`

	// The Content-Type.
	ContentType string `yaml:"content_type" default:"application/octet-stream" format:"value"`
}

// Headers are changes of header fields.
type Headers struct {
	// Of the request, before the backend sees it.
	Request HeaderChanges `yaml:"request"`

	// Of the answer, before the client sees it.
	Response HeaderChanges `yaml:"response"`
}

// HeaderChanges are changes of header fields: first `remove`, then `set`, then
// `add`.
type HeaderChanges struct {
	// Fields, with the value that takes the place of all they had.
	Set map[string]string `yaml:"set" format:"header"`

	// Fields, with a value that comes after those they had.
	Add map[string]string `yaml:"add" format:"header"`

	// Names of fields that are taken out.
	Remove []string `yaml:"remove" format:"field"`
}

// RateLimit limits requests.
type RateLimit struct {
	// Requests a second, on average; 0.1 is one in ten seconds.
	Rate float64 `yaml:"rate,required" range:"0.000001..1000000"`

	// How many may come at once after a pause.
	Burst int `yaml:"burst" default:"1" range:"1..1000000"`

	// Who shares a limit: `client`, those of an address (IPv6: a /64);
	// `session`, those of a Megaki session, of an address elsewhere; `all`,
	// everybody.
	By string `yaml:"by" default:"client" oneof:"client session all"`
}
