package config

import "time"

// PHP is a backend of PHP workers: processes that load the script once and
// then serve one request after the other.
type PHP struct {
	// The userspace script.
	Script string `yaml:"script,required" path:"file"`

	// A folder of files that mkd serves itself, as images and styles, before it asks
	// a worker: see `try`. Sources of PHP scripts, and names that begin with a dot,
	// are never served. Empty: none.
	Public string `yaml:"public" default:"" path:"dir"`

	// What is tried in turn for a GET or HEAD, as with nginx's try_files: `{path}`,
	// the file of the path below `public`; `{path}/`, the index.html of a folder;
	// `{path}.html` or `{path}/index.html`, the path and an ending; a path, as in
	// `/offline.html`; `worker`, at the end. Other methods go to a worker at once.
	// Without it, `{path}` and `worker`.
	Try []string `yaml:"try" format:"worker-try"`

	// The PHP binary: a name, which is looked up on `PATH`, or a path. What
	// has a slash is a path.
	PHP string `yaml:"php" default:"php" path:"command"`

	// The folder that the workers run in. Empty: the script's folder.
	Dir string `yaml:"dir" default:"" path:"dir"`

	// The user that the workers run as, which only root can change; `HOME`,
	// `USER` and `LOGNAME` are theirs then. Empty: the user that mkd runs as.
	User string `yaml:"user" default:""`

	// The group that the workers run as. Empty: the group of `user`.
	Group string `yaml:"group" default:""`

	// Whether the workers get mkd's environment. If not, they get only `PATH` of
	// it, `HOME`, `USER` and `LOGNAME` of their user, and `env`.
	InheritEnv bool `yaml:"inherit_env" default:"true"`

	// Whether the workers and what they start can't gain privileges: `no_new_privs`
	// is set, and they have no capabilities, not even as root. It is off by
	// default because PHP's `mail()` starts sendmail, which most systems install
	// set-user-ID or set-group-ID; it fails in a sandbox, as does `sudo`.
	Sandbox bool `yaml:"sandbox" default:"false"`

	// Environment variables of the workers. Numbers, `true` and `false` need
	// no quotes here, and are handed on as they are written.
	Env map[string]string `yaml:"env" format:"env"`

	// PHP settings, as in php.ini: `ini: {opcache.enable: 1}`. Numbers, `true`
	// and `false` need no quotes here, and are handed on as they are written.
	// `memory_limit` isn't given here: see `memory_ceiling`.
	Ini map[string]string `yaml:"ini" format:"ini"`

	// How many workers there are.
	Workers Workers `yaml:"workers" example:"{min: VALUE, max: VALUE}|4"`

	// How many requests may wait for a worker. 0: none may wait. Clients, that
	// is IPv4 addresses or IPv6 networks of 64 bits, take turns. If more
	// requests come, the client that has most requests waiting loses its newest
	// one, which gets 503.
	Queue int `yaml:"queue" default:"1024" range:"0..1000000"`

	// How long a request may wait for a worker; then it gets 503.
	QueueTimeout time.Duration `yaml:"queue_timeout" default:"10s" range:"1ms..24h"`

	// How long a worker may take for a request, by the clock on the wall:
	// waiting for a database counts. Then the worker is killed and replaced,
	// and the request gets 504. A response of on_http has this time until it
	// begins, and then again after each part of its body: a stream may last
	// longer, but not stand still for so long.
	Timeout time.Duration `yaml:"timeout" default:"30s" range:"1ms..24h"`

	// Whether a client that goes away ends its request.
	Cancel bool `yaml:"cancel" default:"false"`

	// How long a worker may take to load the script.
	BootTimeout time.Duration `yaml:"boot_timeout" default:"30s" range:"1ms..24h"`

	// How long a worker above `workers.min` may be idle before it
	// is ended.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"1m" range:"1ms..8760h"`

	// How many requests a worker serves before it is replaced, give or take
	// a few, so that not all are replaced at once. 0: no limit.
	MaxRequests int `yaml:"max_requests" default:"10000" range:"0..1000000000"`

	// How old a worker becomes before it is replaced, between requests. 0: no
	// limit.
	MaxAge time.Duration `yaml:"max_age" default:"0" range:"0..8760h"`

	// How much memory a worker may use after a request; one that uses more is
	// replaced. It never ends a request. 0: no limit.
	MemoryLimit Size `yaml:"memory_limit" default:"128MiB" range:"0B..1TiB"`

	// How much memory a request may use: PHP's own `memory_limit`, which ends
	// it with an error in the middle. At least `memory_limit`.
	MemoryCeiling Size `yaml:"memory_ceiling" default:"256MiB" range:"2MiB..1TiB"`

	// Whether a client sees what went wrong in the script, for development. The
	// log has it all the same.
	DisplayErrors bool `yaml:"display_errors" default:"false"`

	// Shows an exception of `on_http` in the browser, with the lines of its source and
	// the request, and brings `dump()` and `dd()` to scripts. For development: all
	// listeners have to listen on this machine alone.
	Dev bool `yaml:"dev" default:"false"`

	// Files and folders, with all below them, that are watched: when one changes, the
	// workers are replaced, without a dropped request. The script itself is watched
	// too. For development. Folders whose name begins with a dot, and node_modules,
	// are left out. Default: nothing is watched.
	Watch []string `yaml:"watch" path:"any"`

	// Whether pages in the browser are loaded anew after such a change: HTML
	// responses get a small script at their end. All listeners have to listen on this
	// machine alone.
	LiveReload bool `yaml:"live_reload" default:"false"`

	// Whether each request is searched for what it leaves behind: changed globals,
	// static properties, settings, open streams and the like. The log names each,
	// with the request that did it first; `mkd leaks` lists them. For development: it
	// takes milliseconds for each request.
	DetectLeaks bool `yaml:"detect_leaks" default:"false"`

	// Files that clients upload in forms to an `on_http`.
	Uploads Uploads `yaml:"uploads"`

	// Files that mkd sends when a script names one in X-Accel-Redirect or X-Sendfile.
	SendFile *SendFile `yaml:"send_file" example:"{root: VALUE}|private"`
}

// TryWorker is the entry of Try for a worker.
const TryWorker = "worker"

// Uploads are files that clients upload in forms (multipart/form-data). They lie
// in a folder of mkd's own, and are gone after the request.
type Uploads struct {
	// Where that folder is made. Empty: the system's folder for temporary
	// files.
	Dir string `yaml:"dir" default:"" path:"dir"`

	// How many files a form may have; more get 413.
	MaxFiles int `yaml:"max_files" default:"20" range:"1..10000"`

	// How large a file may be. A larger one is left out, and `$_FILES` reports it.
	// 0: as large as the route's `max_body` lets it be.
	MaxSize Size `yaml:"max_size" default:"64MiB" range:"0B..1TiB"`

	// What the files and fields of the forms of all requests may take together; more get 507.
	// While more than 75 % is in use, one client, an IPv4 address or an IPv6 /64, may have at
	// most three times as much as is still free.
	MaxTotal Size `yaml:"max_total" default:"4GiB" range:"1MiB..1024TiB"`
}

// Workers is how many workers a backend has: never fewer than min, and more
// while requests wait, up to max. If one of them alone is given, and lies
// beyond the default of the other, it counts for both.
type Workers struct {
	// Workers that always run.
	Min int `yaml:"min" default:"2" range:"1..1024"`

	// Workers at most. While old workers end, there may be more processes, but
	// never more than twice as many.
	Max int `yaml:"max" default:"16" range:"1..1024"`
}
