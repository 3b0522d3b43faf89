package config

// Files is a backend of files.
type Files struct {
	// The folder. If it is a symlink, or is below one, each request looks where
	// that leads. Nothing outside of it is served.
	Root string `yaml:"root,required" path:"dir"`

	// The files that are served for a folder; the first that exists is used.
	// Default: `index.html`.
	Index []string `yaml:"index" format:"filename"`

	// What is tried in turn, as with nginx's try_files: `{path}` (or `$uri`), the
	// path of the request; `{path}/`, a folder with an index; `{path}.html`, the
	// path and an ending; a path, as in `/index.html`, for all else; `=404`, the
	// end. A single-page app has `["{path}", /index.html]`. Without it, `{path}`
	// and `{path}/`.
	Try []string `yaml:"try" format:"try"`

	// Whether a folder without an index is listed: names, sizes and times of what
	// would be served, as a page without scripts, which the client can have sorted.
	// What is hidden isn't listed, nor is more than 4096 entries of a folder. Listings
	// that wait for clients take 64 MiB, of which each client has its share.
	Browse bool `yaml:"browse" default:"false"`

	// Serves files that were compressed before: a client that takes `zstd`, `br` or
	// `gzip` gets the file with the ending `.zst`, `.br` or `.gz` beside the one that
	// it asked for, unless that is older. Of those that a client likes as well, the
	// first of this list counts.
	Precompressed []string `yaml:"precompressed" oneof:"zstd br gzip"`

	// Cache-Control of all files.
	CacheControl string `yaml:"cache_control" default:"" format:"value"`

	// The charset of files of the types text/*, as in `utf-8`. Empty: none for
	// text/html and text/plain, since pages declare their own, and such files may
	// be older than UTF-8; `utf-8` for the others, as text/css.
	Charset string `yaml:"charset" default:"" format:"charset"`

	// Media types by extension, besides and instead of mkd's own, as in
	// `.gltf: model/gltf+json`. A type is sent as it is written here.
	Types map[string]string `yaml:"types" format:"type"`

	// Names that are hidden, besides those that begin with a dot: patterns, as
	// in `*.bak`. Sources of PHP scripts are never served.
	Hide []string `yaml:"hide" format:"glob"`
}

// Spool configures bodies of requests that are buffered until they are complete,
// before a backend gets them. Memory is taken as bytes arrive, whatever length a
// client announces.
type Spool struct {
	// How much of each body is kept in memory; what is larger goes to a file.
	Memory Size `yaml:"memory" default:"64KiB" range:"1KiB..1GiB"`

	// What all bodies, those of responses that wait for clients too, may take in
	// memory together; when it is used up, bodies go
	// to files from there on.
	MaxMemory Size `yaml:"max_memory" default:"64MiB" range:"1MiB..1TiB"`

	// The folder of these files, which have no name there. Empty: the system's
	// folder for temporary files.
	Dir string `yaml:"dir" default:"" path:"dir"`

	// What all bodies may take together, in memory and files; beyond it requests
	// get 503. While more than 75 % is in use, one client, an IPv4 address or an
	// IPv6 /64, may have at most three times as much as is still free.
	MaxTotal Size `yaml:"max_total" default:"4GiB" range:"1MiB..1024TiB"`
}
