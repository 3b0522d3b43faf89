package cgi

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Defaults of the fields of Options that are zero.
const (
	DefaultCommand     = "php-cgi"
	DefaultWorkers     = 4
	DefaultMaxRequests = 500
	DefaultLinger      = 5 * time.Minute
)

// maxWorkers bounds the processes of one Server. A thread of this process waits
// for each.
const maxWorkers = 1024

// Options configure a Server. All fields have defaults.
type Options struct {
	Command     string // a name, which is looked up in PATH, or a path
	Workers     int    // number of processes, and so of requests at a time
	MaxRequests int    // a process is replaced after so many, less up to a tenth; negative: never

	Ini   map[string]string // PHP settings, as with php-cgi -d
	Env   map[string]string // added to the environment
	User  string            // the user that the processes run as, which takes root; default: this process's
	Group string            // default: the user's own
	Dir   string            // the working directory before a script runs; default: this process's

	// ClearEnv leaves the processes only PATH of this process's environment.
	ClearEnv bool
	// Sandbox denies the processes, and what they start, new privileges:
	// no_new_privs is set, and they have no capabilities. A set-user-ID sendmail
	// fails then.
	Sandbox bool

	// Linger is how long a process may go on with a request after its client has
	// closed the connection; then it is killed. It must leave time for scripts
	// that go on without a client (ignore_user_abort). Negative: for ever.
	Linger time.Duration

	// SocketDir is where the folder of the private socket is made. It must be
	// short: the path of a socket has at most 107 bytes, of which the folder and
	// the socket take 41. Default: os.TempDir.
	SocketDir string

	// Logger logs what the processes print to their standard output and error,
	// which is what PHP reports outside of a request, and when they end. Default:
	// none.
	Logger *slog.Logger
}

// withDefaults checks the options and fills in the defaults.
func (o Options) withDefaults() (Options, error) {
	name := cmp.Or(o.Command, DefaultCommand)
	path, err := exec.LookPath(name)
	if err != nil {
		return o, fmt.Errorf("php-cgi not found: %w; install it (Debian: apt-get install php-cgi), or set command to its path", err)
	}
	if o.Command, err = filepath.Abs(path); err != nil { // the processes may have another working directory
		return o, err
	}
	o.Workers = cmp.Or(o.Workers, DefaultWorkers)
	if o.Workers < 0 || o.Workers > maxWorkers {
		return o, fmt.Errorf("php-cgi can have 1 to %d workers, not %d", maxWorkers, o.Workers)
	}
	o.MaxRequests = cmp.Or(o.MaxRequests, DefaultMaxRequests)
	if o.MaxRequests > math.MaxInt32 { // PHP has an int for it
		return o, fmt.Errorf("php-cgi can have at most %d as max_requests", math.MaxInt32)
	}
	o.Linger = cmp.Or(o.Linger, DefaultLinger)
	for name, value := range o.Ini {
		if name == "" || strings.ContainsAny(name, "= \t\r\n\x00") || strings.ContainsAny(value, "\r\n\x00") {
			return o, fmt.Errorf("%q = %q isn't a valid PHP setting", name, value)
		}
	}
	for name, value := range o.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return o, fmt.Errorf("%q = %q isn't a valid environment variable", name, value)
		}
	}
	if o.Dir != "" {
		if o.Dir, err = filepath.Abs(o.Dir); err != nil {
			return o, err
		}
	}
	if o.SocketDir, err = filepath.Abs(cmp.Or(o.SocketDir, os.TempDir())); err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
