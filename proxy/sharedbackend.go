package proxy

import (
	"context"
	"sync/atomic"

	"mkd/config"
	"mkd/proxy/backend"
)

// sharedBackend is a backend, which generations have together as long as its section
// stays the same: so it keeps its connections, its workers, and what it knows of its
// servers.
type sharedBackend struct {
	backend.Backend
	section string // what the backend was made of
	started bool   // guarded by Daemon.changing
	users   atomic.Int32
}

// share returns b with one user more if it is what the section asks for, else a new
// backend. b may be nil.
func (b *sharedBackend) share(c *config.Backend, d *Daemon) (*sharedBackend, error) {
	section, err := backend.Section(c)
	if err != nil {
		return nil, err
	}
	if b == nil || b.section != section {
		b = &sharedBackend{section: section}
		if b.Backend, err = backend.New(c, backend.Daemon{Spool: d.spool, Logger: d.logs.Backend(c.Name), Secret: d.secret[:]}); err != nil {
			return nil, err
		}
	}
	b.users.Add(1)
	return b, nil
}

// start starts the backend, unless it runs.
func (b *sharedBackend) start(ctx context.Context) error {
	if b.started {
		return nil
	}
	err := b.Start(ctx)
	b.started = err == nil
	return err
}

// release counts one user less. The last one shuts the backend down.
func (b *sharedBackend) release(ctx context.Context) error {
	if b.users.Add(-1) > 0 {
		return nil
	}
	return b.Shutdown(ctx)
}
