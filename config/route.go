package config

import "time"

// Route handles the requests that match: it has exactly one of `backend`,
// `redirect`, `respond` and `routes`.
type Route struct {
	// A name for logs, with letters, digits, `-` and `_`. No two routes have the
	// same. Without it, logs have the route's place, as in `routes[2]`.
	Name string `yaml:"name" default:"" format:"route"`

	// Which requests match. Default: every HTTP request.
	Match Match `yaml:"match" example:"{paths: [/api/*]}"`

	// The name of the backend that handles the requests.
	Backend string `yaml:"backend,kind"`

	// The backend that responds where `backend`, one of files, doesn't: there is no file
	// for the path, or the method isn't GET or HEAD.
	Fallback string `yaml:"fallback"`

	// Redirects the client.
	Redirect *Redirect `yaml:"redirect,kind" example:"{to: VALUE}|/new"`

	// A fixed response.
	Respond *Respond `yaml:"respond,kind" example:"{status: VALUE}|404"`

	// Routes inside this one, for requests that match this one too. They have this
	// route's options where they don't set their own, and what restricts a request
	// applies once for each: `auth`, `rate_limit`, `max_in_flight`,
	// `client_certificate`, `headers`. A request that matches none of them gets 404: it doesn't go on to the
	// routes below. Paths are whole paths here too.
	Routes []Route `yaml:"routes,kind" example:"{backend: VALUE}|site"`

	// Lets raw messages match as well as HTTP requests, and configures how each becomes a
	// request. PHP scripts with an `on_handle` get the message itself all the same.
	Raw *Raw `yaml:"raw" example:"{path: VALUE}|/messages"`

	// A prefix that is removed from the path before the backend sees it. With
	// `/api`, `/api/users` becomes `/users`, and `/api` becomes `/`, for whose page a
	// `files` backend first redirects to `/api/`; other paths, as `/apiary`, stay as
	// they are.
	StripPrefix string `yaml:"strip_prefix" default:"" format:"prefix"`

	// Changes the path and the query before the backend sees them. What PHP has in
	// REQUEST_URI stays what the client wrote.
	Rewrite *Rewrite `yaml:"rewrite" example:"{path: VALUE}|/index.php"`

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
	Headers Headers `yaml:"headers" example:"{response: {set: {X-Frame-Options: DENY}}}"`

	// Whether responses are compressed for clients that accept it, and how: text
	// (also JSON, XML, JavaScript and SVG) of 1 KiB or more, or of unknown length,
	// that isn't encoded yet. Leave it off for pages that repeat a client's input
	// beside a secret: the length of the response gives the secret away, letter by
	// letter.
	Compress *Compress `yaml:"compress" example:"{algorithms: [br, gzip]}"`

	// How long the backend may take until its response begins, waiting included,
	// and how long the response may then make no progress. Over Megaki a response
	// is sent as a whole: there it is how long the whole body may take, 5 minutes
	// if it is 0. It doesn't run while the body of the request is awaited. The
	// backend's own timeouts apply all the same. 0: they alone.
	Timeout time.Duration `yaml:"timeout" default:"0" range:"0..24h"`

	// The largest request body; a larger one gets 413. 0: no limit.
	MaxBody Size `yaml:"max_body" default:"100MiB" range:"0B..1TiB"`

	// Whether requests get a line in the access log. If not, only requests that fail on this
	// side do, as for icons and checks.
	AccessLog bool `yaml:"access_log" default:"true"`

	// How many requests of the route may be in flight at once; more get 503. With it
	// slow pages, as reports, don't take all workers of a backend. While more than 75 % of
	// them are in flight, one client may have at most three times as many as are still
	// free. 0: no limit.
	MaxInFlight int `yaml:"max_in_flight" default:"0" range:"0..1000000"`

	// With `required`, a client needs a certificate, which the `client_auth` of the
	// listener has verified; one without gets 403.
	ClientCertificate string `yaml:"client_certificate" oneof:"required"`

	// Lets pages of other origins read the responses.
	CORS *CORS `yaml:"cors" example:"{origins: [VALUE]}|https://app.example.org"`

	// Pages for errors, in place of the `error_pages` of the file.
	ErrorPages *ErrorPages `yaml:"error_pages" example:"{pages: {5xx: VALUE}}|errors/5xx.html"`

	// Lets only clients pass that prove who they are. Such a route takes no raw
	// messages. Those of routes inside of each other add up. The response to others is
	// 401.
	Auth *Auth `yaml:"auth" example:"{basic: {users_file: VALUE}}|users"`

	// Limits the rate of requests; those beyond it get 429.
	RateLimit *RateLimit `yaml:"rate_limit" example:"{rate: VALUE, burst: 50}|10"`
}

// Redirect redirects the client.
type Redirect struct {
	// The URL, as in `https://www.example.org{uri}` or `/new`. It may have
	// [placeholders](routing.md#placeholders). A request without a Host gets 400
	// where `{host}` is needed.
	To string `yaml:"to,required" format:"location"`

	// The status: 301 and 308 are permanent, 302, 303 and 307 temporary. After 307
	// and 308 the client repeats its method and body; after the others it may
	// send a GET.
	Status int `yaml:"status" default:"302" range:"301..308"`
}

// Respond is a fixed response.
type Respond struct {
	// The status.
	Status int `yaml:"status" default:"200" range:"200..599"`

	// The body, which may have [placeholders](routing.md#placeholders); in JSON and
	// HTML they are escaped. Empty: the status and its name.
	Body string `yaml:"body" default:"" format:"template"`

	// A file that is the body, up to 1 MiB. It is read anew when it changes.
	File string `yaml:"file" default:"" path:"file"`

	// The Content-Type. Empty: `text/plain` in UTF-8; with `file`, what its extension
	// stands for.
	ContentType string `yaml:"content_type" default:"" format:"media-type"`
}

// Rewrite changes the path and the query. `strip_prefix` applies before it. All but
// `regexp` may have [placeholders](routing.md#placeholders), which have the values from
// before any change.
type Rewrite struct {
	// The new path.
	Path string `yaml:"path" default:"" format:"rewritten-path"`

	// A regular expression of RE2. Where a part of the path matches, the whole path
	// becomes `to`; other paths stay as they are. It is compared with the path as
	// routes match it.
	Regexp string `yaml:"regexp" default:"" format:"regexp"`

	// The new path where `regexp` matches. `{re.NAME}` and `{re.1}` have its groups.
	To string `yaml:"to" default:"" format:"rewritten-path"`

	// A prefix that is put in front of the path, after that.
	AddPrefix string `yaml:"add_prefix" default:"" format:"prefix"`

	// The new query, as in `page={re.name}&{query}`. Empty: it stays.
	Query string `yaml:"query" default:"" format:"rewritten-query"`

	// Whether the query is removed.
	RemoveQuery bool `yaml:"remove_query" default:"false"`
}

// Raw configures how a raw message becomes a request. Its bytes are the body. Of a
// response with a status of 2xx the client receives the body; any other closes the
// connection. A route with `payload: raw` and no `raw` uses the defaults.
type Raw struct {
	// The method.
	Method string `yaml:"method" default:"POST" format:"method"`

	// The path, and a query if needed.
	Path string `yaml:"path" default:"/" format:"target"`

	// The Content-Type field.
	ContentType string `yaml:"content_type" default:"application/octet-stream" format:"value"`
}

// Headers changes header fields.
type Headers struct {
	// Those of the request, before the backend sees it. A `Host` that is set here
	// replaces the client's; it can't be added or removed. PHP never sees a field
	// named `Proxy`, or with `_` or `.` in its name, so these can be set for `http`
	// backends only.
	Request HeaderChanges `yaml:"request"`

	// Those of the response, before the client sees it.
	Response HeaderChanges `yaml:"response"`
}

// HeaderChanges changes header fields: first `remove` applies, then `set`, then
// `add`.
type HeaderChanges struct {
	// Fields and the value that replaces all of theirs, which may have
	// [placeholders](routing.md#placeholders).
	Set map[string]string `yaml:"set" format:"set-header"`

	// Fields and a value that is added to theirs, likewise.
	Add map[string]string `yaml:"add" format:"added-header"`

	// Names of fields that are removed.
	Remove []string `yaml:"remove" format:"removed-field"`
}

// RateLimit limits requests. A raw message beyond it closes its connection.
type RateLimit struct {
	// Requests a second, on average; 0.1 is one in ten seconds.
	Rate float64 `yaml:"rate,required" range:"0.000001..1000000"`

	// How many may arrive at once after a pause.
	Burst int `yaml:"burst" default:"1" range:"1..1000000"`

	// Which requests share a limit: `client`, those of an address (IPv6: of a
	// /64); `session`, those of a Megaki session, or of an address where there is
	// none; `header`, those with one value of a field; `all`, all of the route.
	By string `yaml:"by" default:"client" oneof:"client session header all"`

	// The field of `by: header`, as `X-Api-Key`. Requests without it are limited by their
	// address. Take one that clients can't choose as they like: each value has a limit of
	// its own. The limit applies before `auth`.
	Header string `yaml:"header" default:"" format:"limited-field"`
}
