package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"mkd/config"
	"mkd/proxy/backend"
	"mkd/proxy/request"
	"mkd/proxy/route"
)

// generation is what one configuration makes of requests: its routes and
// backends. A request holds the generation that was current at its start until
// its end.
type generation struct {
	cfg      *config.Config
	backends map[string]backend.Backend
	entries  map[string]*entry // by listener

	// users counts the requests that hold the generation, and the daemon while
	// it is current. At 0 it is over, and no request can begin.
	users atomic.Int64
	over  chan struct{} // closed when users reaches 0
}

// entry is where the requests of a listener enter a generation.
type entry struct {
	*route.Handler
	generation *generation
}

// newGeneration builds a generation of a checked configuration. It starts
// nothing.
func newGeneration(cfg *config.Config, d *Daemon) (*generation, error) {
	g := &generation{cfg: cfg, backends: make(map[string]backend.Backend), entries: make(map[string]*entry), over: make(chan struct{})}
	g.users.Store(1)
	for i := range cfg.Backends {
		c := &cfg.Backends[i]
		b, err := backend.New(c, backend.Daemon{Spool: d.spool, Logger: d.logs.Backend(c.Name)})
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w", c.Name, err)
		}
		g.backends[c.Name] = b
	}
	routes := route.New(cfg, func(name string) request.Backend { return g.backends[name] }, d.logs, &d.tally)
	for i := range cfg.Listeners {
		name := cfg.Listeners[i].Name
		g.entries[name] = &entry{routes.Handler(&cfg.Listeners[i]), g}
	}
	return g, nil
}

// start starts the backends.
func (g *generation) start(ctx context.Context) error {
	for name, b := range g.backends {
		if err := b.Start(ctx); err != nil {
			return fmt.Errorf("backend %s: %w", name, err)
		}
	}
	return nil
}

// restart replaces the workers of a backend, those of all if name is "".
func (g *generation) restart(ctx context.Context, name string) error {
	var names []string // of those with workers
	for i := range g.cfg.Backends {
		n := g.cfg.Backends[i].Name
		b, ok := g.backends[n].(backend.Restarter)
		if !ok {
			continue
		}
		names = append(names, n)
		if name != "" && n != name {
			continue
		}
		if err := b.Restart(ctx); err != nil {
			return fmt.Errorf("backend %s: the workers that weren't replaced serve on: %w", n, err)
		}
		if n == name {
			return nil
		}
	}
	switch {
	case len(names) == 0:
		return errors.New("no backend has PHP workers of mkd's own")
	case name != "":
		return fmt.Errorf("there is no backend %q with PHP workers; there is %s", name, strings.Join(names, ", "))
	}
	return nil
}

// leaks returns what requests have left behind, by backend.
func (g *generation) leaks() map[string]any {
	all := make(map[string]any)
	for name, b := range g.backends {
		if l, ok := b.(backend.LeakFinder); ok && l.FindsLeaks() {
			all[name] = l.Leaks()
		}
	}
	return all
}

// shutdown stops the backends. What is in flight may end within ctx.
func (g *generation) shutdown(ctx context.Context) error {
	var errs []error
	for name, b := range g.backends {
		if err := b.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("backend %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// hold counts one more user, and reports false if the generation is over.
func (g *generation) hold() bool {
	for {
		n := g.users.Load()
		if n == 0 {
			return false
		}
		if g.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release counts one user less.
func (g *generation) release() {
	if g.users.Add(-1) == 0 {
		close(g.over)
	}
}

// Release implements request.Lease.
func (e *entry) Release() { e.generation.release() }
