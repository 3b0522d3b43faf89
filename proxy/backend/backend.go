// Package backend has the kinds of backends: what responds to the requests of
// routes. Each has a file, which makes a backend of its section in config.yaml,
// and a row in the table of kinds.
package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

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

// kinds is the table of the kinds of backends.
var kinds = []struct {
	name string // its section in config.yaml
	has  func(*config.Backend) bool
	new  func(*config.Backend, Daemon) (Backend, error)
}{
	{"php", func(b *config.Backend) bool { return b.PHP != nil }, newPHP},
	{"http", func(b *config.Backend) bool { return b.HTTP != nil }, newHTTP},
	{"fastcgi", func(b *config.Backend) bool { return b.FastCGI != nil }, newFastCGI},
	{"files", func(b *config.Backend) bool { return b.Files != nil }, newFiles},
}

// New returns a backend of the kind that its section names. It starts nothing.
func New(b *config.Backend, d Daemon) (Backend, error) {
	for _, k := range kinds {
		if k.has(b) {
			return k.new(b, d)
		}
	}
	return nil, errors.New("it has no kind")
}

// Section returns what a backend is made of: its section, with the contents of the
// files that are read only once. Backends of the same section are the same.
func Section(b *config.Backend) (string, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	if b.HTTP == nil {
		return string(text), nil
	}
	sticky := new(config.Sticky)
	if b.HTTP.Sticky != nil {
		sticky = b.HTTP.Sticky
	}
	for _, file := range []struct{ key, path string }{
		{"tls.ca", b.HTTP.TLS.CA}, {"tls.cert", b.HTTP.TLS.Cert}, {"tls.key", b.HTTP.TLS.Key}, {"sticky.secret_file", sticky.SecretFile},
	} {
		if file.path == "" {
			continue
		}
		content, err := os.ReadFile(file.path)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", file.key, err)
		}
		text = append(text, content...)
	}
	return string(text), nil
}
