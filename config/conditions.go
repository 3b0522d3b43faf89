package config

// Match selects the requests that a route handles. All conditions that are given must
// hold. A list holds if one of its entries does; of `headers` and `query`, all must.
// Raw messages have no host, path, query, method or header.
type Match struct {
	// What matches: HTTP requests, or raw messages of Megaki clients. Default: HTTP
	// requests, and raw messages only if the route has `raw`. So a malformed HTTP
	// request is never forwarded as a raw message.
	Payload Payload `yaml:"payload" oneof:"http raw"`

	// Names of listeners. Default: all of them.
	Listeners []string `yaml:"listeners"`

	Conditions

	// Conditions that requests don't match if they meet all of them, as in
	// `{methods: [GET, HEAD]}` for all other methods.
	Not *Conditions `yaml:"not" example:"{paths: [VALUE]}|/login"`
}

// Conditions are conditions on a request, all of which must hold.
type Conditions struct {
	// Hosts: `example.org`, or `*.example.org` for all names below it. Write them
	// in lower case and without a port.
	Hosts []string `yaml:"hosts" format:"host"`

	// Paths: `/about` is that path alone, `/api/*` is `/api` and all below it,
	// `*.php` all that end so. They are compared with the cleaned, decoded path,
	// without dot segments and double slashes. Case matters.
	Paths []string `yaml:"paths" format:"path"`

	// A regular expression that a part of the path matches, in the syntax of RE2;
	// write `^` and `$` for the whole path. A dot matches every character. It is
	// compared with the same form as `paths`. `{re.NAME}` has what the group `(?P<NAME>…)` matched, see
	// [routing.md](routing.md).
	PathRegexp string `yaml:"path_regexp" default:"" format:"regexp"`

	// Parameters of the query and the value that one of each must have, decoded; `*`
	// is any value.
	Query map[string]string `yaml:"query" format:"query"`

	// Methods, as in `[GET, HEAD]`. `GET` doesn't include HEAD. TRACE gets 405
	// unless it is named here.
	Methods []string `yaml:"methods" format:"method"`

	// Header fields and the value that one of their lines must have; `*` is any
	// value. The case of names doesn't matter. `X-Forwarded-*` are there only if a
	// trusted proxy sent them.
	Headers map[string]string `yaml:"headers" format:"matched-header" example:"{response: {set: {X-Frame-Options: DENY}}}"`

	// Networks and addresses of clients, as in `10.0.0.0/8`. Behind
	// `trusted_proxies` the address that they report is compared.
	From []string `yaml:"from" format:"network"`
}
