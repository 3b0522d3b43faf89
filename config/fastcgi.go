package config

import "time"

// FastCGI is a backend of PHP-FPM, or of another FastCGI server, together with
// the files that lie beside its scripts.
type FastCGI struct {
	// The servers, all of which run the same site: `host:port`, or `unix:/path`
	// of a socket.
	Addresses []string `yaml:"addresses" format:"socket"`

	// php-cgi processes that mkd runs itself, in place of `addresses`.
	Spawn *Spawn `yaml:"spawn" example:"{workers: VALUE}|4"`

	// The folder of the site, which its URLs begin in. If it is a symlink, or
	// lies below one, each request looks where that leads.
	Root string `yaml:"root,required" path:"dir"`

	// The same folder as the servers see it, if that is a different path, as in
	// a container.
	ServerRoot string `yaml:"server_root" default:"" format:"folder"`

	// The scripts and files that are used for a folder; the first that exists.
	// Default: `index.php` and `index.html`.
	Index []string `yaml:"index" format:"filename"`

	// Endings of scripts. What follows such a name in a path is its PATH_INFO.
	// Without it, `.php`.
	SplitPath []string `yaml:"split_path" format:"extension"`

	// What is tried in turn, as with nginx's try_files: `{path}` (or `$uri`), the
	// path of the request; `{path}/`, a folder with an index; `{path}.html`, the
	// path and an ending; a path, as in `/index.php`, for all else; `=404`, the
	// end. Without it, `{path}` and `{path}/`. Requests keep their query.
	Try []string `yaml:"try" format:"try"`

	// Cache-Control of files.
	CacheControl string `yaml:"cache_control" default:"" format:"value"`

	// The charset of files of the types text/*, as in `utf-8`. Empty: none for
	// text/html and text/plain, since pages declare their own, and such files may
	// be older than UTF-8; `utf-8` for the others, as text/css.
	Charset string `yaml:"charset" default:"" format:"charset"`

	// Media types by extension, besides and instead of mkd's own, as in
	// `.gltf: model/gltf+json`. A type is sent as it is written here.
	Types map[string]string `yaml:"types" format:"type"`

	// Names that are hidden, besides those that begin with a dot: patterns, as
	// in `*.bak`. Sources of scripts are never served.
	Hide []string `yaml:"hide" format:"glob"`

	// Environment of the scripts: more parameters of each request.
	Env map[string]string `yaml:"env" format:"env"`

	// How requests are shared among the servers.
	Balance Balance `yaml:"balance" example:"{by: VALUE}|least_conn"`

	// Asks the servers whether they are well. `path` has to be the `ping.path`
	// of PHP-FPM.
	Health *Health `yaml:"health" example:"{path: VALUE}|/ping"`

	// For connecting to a server.
	DialTimeout time.Duration `yaml:"dial_timeout" default:"5s" range:"1ms..24h"`

	// From the last part of a request that the server took to the header of the response.
	ResponseTimeout time.Duration `yaml:"response_timeout" default:"60s" range:"1ms..24h"`

	// How long the body of a response may make no progress.
	ReadTimeout time.Duration `yaml:"read_timeout" default:"60s" range:"1ms..24h"`

	// How many connections to each server are kept for the next request. Each
	// occupies a worker of PHP-FPM: less than its `pm.max_children`, counted
	// over all that use it. 0: none, which also suits scripts that go on after
	// fastcgi_finish_request(): on a kept connection the next request waits for
	// their end.
	KeepAlive int `yaml:"keep_alive" default:"0" range:"0..10000"`

	// How long such a connection is kept.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"2s" range:"1ms..1h"`

	// Whether the script gets the body of a request as it arrives, and not only when
	// it is complete. If the client then leaves, the script has a part of it; and a
	// body without a length gets 411.
	StreamBody bool `yaml:"stream_body" default:"false"`

	// Files that mkd sends when a script names one in X-Accel-Redirect or X-Sendfile.
	SendFile *SendFile `yaml:"send_file" example:"{root: VALUE}|private"`
}

// SendFile is about files that an application names, and mkd sends.
type SendFile struct {
	// The folder of the files. X-Sendfile may name it as it is here, or free of
	// symlinks.
	Root string `yaml:"root,required" path:"dir"`

	// What X-Accel-Redirect begins with: `/protected` makes
	// `/protected/a.pdf` the file `a.pdf` of the folder. X-Sendfile has the
	// whole path of a file.
	Prefix string `yaml:"prefix" default:"" format:"prefix"`
}

// Spawn is about php-cgi processes that mkd runs, on a socket of its own.
type Spawn struct {
	// The binary: a name, which is looked up on `PATH`, or a path. What has a
	// slash is a path.
	Command string `yaml:"command" default:"php-cgi" path:"command"`

	// How many requests can run at once.
	Workers int `yaml:"workers" default:"4" range:"1..1024"`

	// How long a process may go on with a request after its client has left, or
	// its time was over; then it is killed.
	Linger time.Duration `yaml:"linger" default:"5m" range:"1ms..24h"`

	// How many requests a process serves before it is replaced.
	MaxRequests int `yaml:"max_requests" default:"500" range:"1..1000000000"`

	// PHP settings, as in php.ini. Numbers, `true` and `false` need no quotes
	// here, and are passed on as they are written.
	Ini map[string]string `yaml:"ini" format:"ini"`

	// Environment variables of the processes. Numbers, `true` and `false` need
	// no quotes here, and are passed on as they are written.
	Env map[string]string `yaml:"env" format:"env"`

	// The user that the processes run as, which only root can change. Empty:
	// the user that mkd runs as.
	User string `yaml:"user" default:""`

	// The group that the processes run as. Empty: the group of `user`.
	Group string `yaml:"group" default:""`

	// Whether the processes get mkd's environment. If not, they get only `PATH` of
	// it, `HOME`, `USER` and `LOGNAME` of their user, and `env`.
	InheritEnv bool `yaml:"inherit_env" default:"true"`

	// Whether the processes and what they start can't gain privileges: `no_new_privs`
	// is set, and they have no capabilities, not even as root. It is off by
	// default because PHP's `mail()` starts sendmail, which most systems install
	// set-user-ID or set-group-ID; it fails in a sandbox, as does `sudo`.
	Sandbox bool `yaml:"sandbox" default:"false"`
}
