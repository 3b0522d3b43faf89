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

// Options describe a Pool. Script has no default.
type Options struct {
	Script string            // the userspace script
	PHP    string            // the binary; default: php, looked up on the PATH
	Dir    string            // working directory of the workers; default: the script's folder
	User   string            // whom the workers run as; default: as this process. It takes root
	Group  string            // default: the user's own
	Env    map[string]string // added to the environment
	Ini    map[string]string // settings of PHP, as with php -d

	// ClearEnv leaves workers only PATH of this process's environment.
	ClearEnv bool
	// Sandbox denies workers, and what they start, new privileges: no_new_privs
	// is set, and they have no capabilities. A set-user-ID sendmail fails then.
	Sandbox bool

	MinWorkers int // workers that are always there
	MaxWorkers int // workers under load; there are never more than twice as many processes

	// Queue is how many calls may wait for a worker; less than 0: none. If there
	// are more, the client that has most of them loses its newest one.
	Queue        int
	QueueTimeout time.Duration // how long one waits
	Timeout      time.Duration // wall-clock time of a call in a worker; of an HTTPCall until its answer begins, and then between two parts
	BootTimeout  time.Duration // from the start of a process to its readiness
	IdleTimeout  time.Duration // after which a worker above MinWorkers ends

	MaxRequests   int           // after which a worker is replaced, give or take a tenth; 0: no limit
	MaxAge        time.Duration // after which a worker is replaced; 0: no limit
	MemoryLimit   int64         // bytes; a worker that uses more is replaced after its call; 0: no limit
	MemoryCeiling int64         // bytes; PHP's memory_limit, which ends a script in the middle

	// Of HTTP requests' forms with files.
	UploadDir     string // where a folder for the files is made; default: os.TempDir()
	MaxUploads    int    // files in a form, as PHP's max_file_uploads; more are refused
	MaxUploadSize int64  // bytes of a file, as PHP's upload_max_filesize; a larger one is left out, and $_FILES says so; 0: no limit
	UploadTotal   int64  // bytes of all files and fields of requests under way

	// Logger gets what the scripts print and log, PHP's warnings, and what
	// becomes of the workers. Default: nothing.
	Logger *slog.Logger
}

// withDefaults returns the options with nothing left to decide.
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
		return o, fmt.Errorf("PHP isn't there: %w; install it (Debian: apt-get install php-cli), or say where it is", err)
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
