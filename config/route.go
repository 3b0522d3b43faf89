package config

import "time"

// Route says what becomes of the requests that match: it has exactly one of
// `backend`, `redirect` and `respond`.
type Route struct {
	// A name for logs, with letters, digits, `-` and `_`. No two routes have the
	// same. Without it, logs have the route's place, as in `routes[2]`.
	Name string `yaml:"name" default:"" format:"route"`

	// What the route takes. Without it, every HTTP request.
	Match Match `yaml:"match"`

	// The name of the backend that answers.
	Backend string `yaml:"backend,kind"`

	// Where the client is sent instead.
	Redirect *Redirect `yaml:"redirect,kind"`

	// An answer that stands here.
	Respond *Respond `yaml:"respond,kind"`

	// Takes raw messages as well as HTTP requests, and says what requests are
	// made of them. PHP scripts with an `on_handle` get the message as it is all
	// the same.
	Raw *Raw `yaml:"raw"`

	// What is taken off the front of the path before the backend sees it. With
	// `/api`, `/api/users` becomes `/users`, and `/api` becomes `/`; other paths,
	// as `/apiary`, are handed on as they are.
	StripPrefix string `yaml:"strip_prefix" default:"" format:"prefix"`

	// Whether an `http` backend sees the path as the client wrote it, with double
	// slashes and all escapes, as signed URLs need it. Routes match the cleaned
	// path all the same; so a path with dot segments, or with bytes that aren't
	// allowed in a path, is still cleaned. PHP always has the path as it was
	// written, in REQUEST_URI.
	RawPath bool `yaml:"raw_path" default:"false"`

	// Whether a path with an encoded slash or backslash (`%2F`, `%5C`) reaches the
	// scripts of a `fastcgi` backend: the script that the path leads to before it,
	// or a front controller in `try`. Otherwise it gets 404. No file has such a
	// path. Backends of the kinds `php` and `http` always see such paths.
	EncodedSlashes bool `yaml:"encoded_slashes" default:"false"`

	// Changes of header fields.
	Headers Headers `yaml:"headers"`

	// Whether answers are compressed with gzip for clients that take it: text
	// (also JSON, XML, JavaScript and SVG) from 1 KiB on, or of unknown length,
	// that isn't encoded yet. What repeats a client's input beside a secret
	// shouldn't be: the length of the answer gives the secret away, letter by
	// letter.
	Compress bool `yaml:"compress" default:"false"`

	// How long the backend may take for a request of this route until its
	// response begins, waiting included, and how long the response may then
	// stand still. A Megaki message is answered in one piece: there it is how
	// long the whole body may take, 5 minutes if it is 0. The backend's own
	// timeouts apply all the same. 0: they alone.
	Timeout time.Duration `yaml:"timeout" default:"0" range:"0..24h"`

	// The largest body of a request; a larger one gets 413. 0: no limit.
	MaxBody Size `yaml:"max_body" default:"100MiB" range:"0B..1TiB"`

	// A limit of requests; those beyond it get 429.
	RateLimit *RateLimit `yaml:"rate_limit"`
}

// Match says what a route takes. All conditions that are given must hold, and
// each holds if one of its list does; of `headers`, all must. Raw messages have
// no host, path, method or header.
type Match struct {
	// What is taken: HTTP requests, or raw messages of Megaki clients. Without
	// it, HTTP requests, and raw messages only if the route has `raw`; so a
	// mistyped HTTP request is never handed on as a raw message.
	Payload Payload `yaml:"payload" oneof:"http raw"`

	// Names of listeners. Without it, all of them.
	Listeners []string `yaml:"listeners"`

	// Hosts: `example.org`, or `*.example.org` for all names below it. They are
	// written in lower case, and ports don't count.
	Hosts []string `yaml:"hosts" format:"host"`

	// Paths: `/about` is that path alone, `/api/*` is `/api/` and all below it
	// (but not `/api`), `*.php` all that end so. They are compared with the
	// decoded path, once dot segments and double slashes are resolved; upper
	// and lower case differ.
	Paths []string `yaml:"paths" format:"path"`

	// Methods, as in `[GET, HEAD]`. `GET` alone doesn't take HEAD. TRACE gets 405
	// unless it is named here.
	Methods []string `yaml:"methods" format:"method"`

	// Header fields and their values, one of which must be equal; `*` is any
	// value. Names may be in upper or lower case.
	Headers map[string]string `yaml:"headers" format:"matched-header"`

	// Networks and addresses of clients, as in `10.0.0.0/8`; behind
	// `trusted_proxies` it is the address that they tell.
	From []string `yaml:"from" format:"network"`
}

// Redirect sends the client elsewhere.
type Redirect struct {
	// The address, as in `https://www.example.org{uri}` or `/new`. `{host}`
	// stands for the host of the request, `{path}` for its path, `{uri}` for its
	// path and query.
	To string `yaml:"to,required" format:"location"`

	// The status: 301 and 308 are for good, 302, 303 and 307 for now. After 307
	// and 308 the client repeats its method and body; after the others it may
	// send a GET.
	Status int `yaml:"status" default:"302" range:"301..308"`
}

// Respond is an answer that no backend is asked for.
type Respond struct {
	// The status.
	Status int `yaml:"status" default:"200" range:"200..599"`

	// The body, in plain text. Empty: the status in words.
	Body string `yaml:"body" default:""`
}

// Raw says what request is made of a raw message, whose bytes become the body.
// Of the answer only the body of a 2xx goes back to the client; anything else
// closes the connection. A route with `payload: raw` and no `raw` has the
// defaults.
type Raw struct {
	// The method.
	Method string `yaml:"method" default:"POST" format:"method"`

	// The path, and a query if need be.
	Path string `yaml:"path" default:"/" format:"target"`

	// The Content-Type field.
	ContentType string `yaml:"content_type" default:"application/octet-stream" format:"value"`
}

// Headers says what changes in header fields.
type Headers struct {
	// Those of the request, before the backend sees it. A `Host` that is set
	// here is the one that it sees; it can't be added or removed. PHP sees no
	// field named `Proxy`, or with `_` or `.` in its name, so these can be set for
	// `http` backends only.
	Request HeaderChanges `yaml:"request"`

	// Those of the answer, before the client sees it.
	Response HeaderChanges `yaml:"response"`
}

// HeaderChanges says what changes: first `remove`, then `set`, then `add`.
type HeaderChanges struct {
	// Fields, with the value that takes the place of all they had.
	Set map[string]string `yaml:"set" format:"set-header"`

	// Fields, with a value that comes after those they had.
	Add map[string]string `yaml:"add" format:"added-header"`

	// Names of fields that are taken out.
	Remove []string `yaml:"remove" format:"removed-field"`
}

// RateLimit limits requests. A raw message beyond it closes its connection.
type RateLimit struct {
	// Requests a second, on average; 0.1 is one in ten seconds.
	Rate float64 `yaml:"rate,required" range:"0.000001..1000000"`

	// How many may come at once after a pause.
	Burst int `yaml:"burst" default:"1" range:"1..1000000"`

	// Who shares the limit: `client`, the requests of an address (IPv6: of a
	// /64); `session`, those of a Megaki session, and of an address where there
	// is none; `all`, all of the route.
	By string `yaml:"by" default:"client" oneof:"client session all"`
}
