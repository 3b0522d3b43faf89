package php

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Defaults of the fields of Options that are zero.
const (
	DefaultMinWorkers    = 2
	DefaultMaxWorkers    = 16
	DefaultQueue         = 1024
	DefaultQueueTimeout  = 10 * time.Second
	DefaultTimeout       = 30 * time.Second
	DefaultBootTimeout   = 30 * time.Second
	DefaultIdleTimeout   = time.Minute
	DefaultMemoryCeiling = 256 << 20 // bytes
	DefaultMaxUploads    = 20
	DefaultUploadTotal   = 4 << 30 // bytes
)

// Options configure a Pool. All fields but Script have defaults.
type Options struct {
	Script string            // the userspace script
	PHP    string            // the binary; default: php, looked up in PATH
	Dir    string            // working directory of the workers; default: the script's folder
	User   string            // the user that the workers run as, which takes root; default: this process's
	Group  string            // default: the user's own
	Env    map[string]string // added to the environment
	Ini    map[string]string // PHP settings, as with php -d

	// ClearEnv leaves workers only PATH of this process's environment.
	ClearEnv bool
	// Sandbox denies workers, and what they start, new privileges: no_new_privs
	// is set, and they have no capabilities. A set-user-ID sendmail fails then.
	Sandbox bool

	MinWorkers int // workers that always run
	MaxWorkers int // workers under load; there are never more than twice as many processes

	// Queue is how many calls may wait for a worker; negative: none. If more come,
	// the client that has most of them in the queue loses its newest one.
	Queue        int
	QueueTimeout time.Duration // how long a call may wait
	Timeout      time.Duration // wall-clock time of a call in a worker; of an HTTPCall until its response begins, and then between two parts
	BootTimeout  time.Duration // from the start of a process until it is ready
	IdleTimeout  time.Duration // how long a worker above MinWorkers may be idle

	MaxRequests   int           // a worker is replaced after so many, give or take a tenth; 0: no limit
	MaxAge        time.Duration // a worker is replaced at this age; 0: no limit
	MemoryLimit   int64         // bytes; a worker that uses more is replaced after its call; 0: no limit
	MemoryCeiling int64         // bytes; PHP's memory_limit, which ends a script in the middle

	// For forms with files of HTTP requests.
	UploadDir     string // where a folder for the files is made; default: os.TempDir()
	MaxUploads    int    // files in a form, as PHP's max_file_uploads; more are refused
	MaxUploadSize int64  // bytes of a file, as PHP's upload_max_filesize; a larger one is dropped, and $_FILES has the error; 0: no limit
	UploadTotal   int64  // bytes of all files and fields of requests in flight

	// Dev shows exceptions of an on_http, with source and request, in the browser,
	// and scripts can dump values there. It is for development.
	Dev bool
	// DetectLeaks compares the state of a worker before and after each request, and
	// reports what differs: see Pool.Leaks. It takes milliseconds for each request.
	DetectLeaks bool

	// Logger logs what the scripts print and log, PHP's warnings, and why workers
	// end. Default: none.
	Logger *slog.Logger
}

// withDefaults checks the options and fills in the defaults.
func (o Options) withDefaults() (Options, error) {
	if o.Script == "" {
		return o, errors.New("php: a Pool needs a Script")
	}
	var err error
	if o.Script, err = filepath.Abs(o.Script); err != nil {
		return o, err
	}
	if o.Dir, err = filepath.Abs(cmp.Or(o.Dir, filepath.Dir(o.Script))); err != nil {
		return o, err
	}
	name := cmp.Or(o.PHP, "php")
	if o.PHP, err = exec.LookPath(name); err != nil {
		return o, fmt.Errorf("PHP not found: %w; install it (Debian: apt-get install php-cli), or set php to its path", err)
	}
	if o.PHP, err = filepath.Abs(o.PHP); err != nil { // the workers have another working directory
		return o, err
	}
	o.MinWorkers = cmp.Or(o.MinWorkers, DefaultMinWorkers)
	o.MaxWorkers = max(o.MinWorkers, cmp.Or(o.MaxWorkers, DefaultMaxWorkers))
	o.Queue = max(0, cmp.Or(o.Queue, DefaultQueue))
	o.QueueTimeout = cmp.Or(o.QueueTimeout, DefaultQueueTimeout)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.BootTimeout = cmp.Or(o.BootTimeout, DefaultBootTimeout)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, DefaultIdleTimeout)
	o.MemoryCeiling = cmp.Or(o.MemoryCeiling, DefaultMemoryCeiling)
	o.MaxUploads = cmp.Or(o.MaxUploads, DefaultMaxUploads)
	o.UploadTotal = cmp.Or(o.UploadTotal, DefaultUploadTotal)
	if o.UploadDir, err = filepath.Abs(cmp.Or(o.UploadDir, os.TempDir())); err != nil {
		return o, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
