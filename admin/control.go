package admin

import "context"

// Control is the running daemon, as far as it can be asked to change. Its methods
// are safe for use by several goroutines.
type Control interface {
	// Reload reads the configuration file anew, and puts it into use. If anything is
	// wrong with it, the error has all of it, a line each, and nothing has changed.
	Reload(ctx context.Context) error
	// Upgrade starts the binary on disk in its place, and returns its process id once it
	// serves. After an error this process serves on.
	Upgrade(ctx context.Context) (pid int, err error)
	// Alive returns an error if the daemon can't handle requests.
	Alive(ctx context.Context) error
	// Drain fails the readiness check, and then stops the daemon as SIGTERM does. It
	// doesn't wait for that.
	Drain() error
	// SetMaintenance starts or ends maintenance, during which all requests get 503.
	SetMaintenance(on bool) error
	// Reopen opens the log file anew, after it was renamed. It reports false if there is
	// none.
	Reopen() (bool, error)
	// RestartWorkers replaces the workers of a php backend one after the other, those
	// of all backends if name is "". It waits until all are replaced, and drops no
	// request.
	RestartWorkers(ctx context.Context, name string) error
	// Leaks returns what the requests of PHP workers have left behind, by backend, for
	// JSON. Backends that don't look for it are left out.
	Leaks() map[string]any
}
