// Package backend has the kinds of backends: what responds to the requests of
// routes. Each has a file, which makes a backend of its section in config.yaml,
// and a row in the table of kinds.
package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"mkd/config"
	"mkd/php"
	"mkd/php/cgi"
	"mkd/proxy/balance"
	"mkd/proxy/forward"
	"mkd/proxy/request"
)

// Backend responds to requests. It is safe for use by several goroutines.
type Backend interface {
	request.Backend
	// Start makes the backend ready, or returns why it can't be.
	Start(ctx context.Context) error
	// Shutdown stops the backend. Requests in flight may end within ctx.
	Shutdown(ctx context.Context) error
}

// Restarter is a Backend with processes of its own that can be replaced while it
// serves.
type Restarter interface {
	// Restart replaces them one after the other, and waits for that. No request is
	// dropped.
	Restart(ctx context.Context) error
}

// LeakFinder is a Backend that can look for what requests leave behind.
type LeakFinder interface {
	// FindsLeaks reports whether it does.
	FindsLeaks() bool
	// Leaks returns what it has found.
	Leaks() php.Leaks
}

// Pooled is a Backend with a pool of PHP workers.
type Pooled interface {
	// Status returns what the workers do.
	Status() php.Status
}

// Balanced is a Backend with servers.
type Balanced interface {
	// Upstreams returns the state of each server, in their order.
	Upstreams() []Upstream
}

// Upstream is the state of a server of a backend.
type Upstream struct {
	balance.Status
	Waiting int // requests that wait for a connection
}

// Spawner is a Backend that runs php-cgi.
type Spawner interface {
	// Spawned returns the state of its processes, nil if it has none.
	Spawned() *cgi.Status
}

// Daemon is what a backend gets from the daemon.
type Daemon struct {
	Spool  *forward.Spool
	Logger *slog.Logger // for this backend
	Secret []byte       // random, and the same as long as the daemon runs
}

// kind is a kind of backends.
type kind struct {
	// build makes a backend of its section. It starts nothing.
	build func(*config.Backend, Daemon) (Backend, error)
	// probe tries what the backend needs, and changes nothing: with boot it may start
	// what the backend would start. An error means that mkd wouldn't start; warnings are
	// about what may change until it does. nil: there is nothing to try.
	probe func(ctx context.Context, b *config.Backend, boot bool, d Daemon) (warnings []string, err error)
	// files returns the files that build reads, by the keys that name them. nil: none.
	files func(*config.Backend) map[string]string
	// connects is whether each request in flight may have a connection to a server.
	connects bool
	// workers returns how many workers there are at most. nil: none.
	workers func(*config.Backend) int
}

// kinds is the table of the kinds of backends, by their sections in config.yaml. A
// section checks itself.
var kinds = map[string]kind{
	"php":     {build: newPHP, probe: probePHP, workers: mostWorkers},
	"http":    {build: newHTTP, probe: probeHTTP, files: httpFiles, connects: true},
	"fastcgi": {build: newFastCGI, probe: probeFastCGI, connects: true},
	"files":   {build: newFiles},
}

// New returns a backend of the kind that its section names. It starts nothing.
func New(b *config.Backend, d Daemon) (Backend, error) {
	kind, ok := kinds[b.Kind()]
	if !ok {
		return nil, fmt.Errorf("it must have one kind of %s", strings.Join(config.BackendKinds(), ", "))
	}
	return kind.build(b, d)
}

// Probe tries what a backend needs, and changes nothing: with boot it starts one
// worker of a PHP script and ends it, and it connects to servers. An error means
// that mkd wouldn't start; warnings are about what may change until it does.
func Probe(ctx context.Context, b *config.Backend, boot bool, d Daemon) (warnings []string, err error) {
	if probe := kinds[b.Kind()].probe; probe != nil {
		return probe(ctx, b, boot, d)
	}
	return nil, nil
}

// Connects reports whether each request in flight may have a connection to a server of
// a backend.
func Connects(b *config.Backend) bool { return kinds[b.Kind()].connects }

// Workers returns how many workers a backend may have.
func Workers(b *config.Backend) int {
	if workers := kinds[b.Kind()].workers; workers != nil {
		return workers(b)
	}
	return 0
}

// Section returns what a backend is made of: its section, with the contents of the
// files that are read only once. Backends of the same section are the same.
func Section(b *config.Backend) (string, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	files := kinds[b.Kind()].files
	if files == nil {
		return string(text), nil
	}
	paths := files(b)
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		if paths[key] == "" {
			continue
		}
		content, err := os.ReadFile(paths[key])
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", key, err)
		}
		text = append(text, content...)
	}
	return string(text), nil
}
