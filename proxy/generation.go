package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"mkd/config"
	"mkd/proxy/backend"
	"mkd/proxy/request"
	"mkd/proxy/route"
	"mkd/proxy/tally"
)

// generation is what one configuration makes of requests: its routes and
// backends. A request holds the generation that was current at its start until
// its end.
type generation struct {
	cfg      *config.Config
	backends map[string]*sharedBackend
	routes   *route.Routes
	entries  map[string]*entry // by listener

	// users counts the requests that hold the generation, and the daemon while
	// it is current. At 0 it is over, and no request can begin.
	users atomic.Int64
	own   atomic.Int64  // those of users that are the daemon, and its listeners that drain
	over  chan struct{} // closed when users reaches 0
}

// entry is where the requests of a listener enter a generation.
type entry struct {
	*route.Handler
	generation *generation
	listener   *config.Listener
}

// newGeneration builds a generation of a checked configuration. It takes the backends
// over whose section is that of the current generation, and the state of rate limits
// that stay. It starts nothing. Its error has all that is wrong; the generation then
// has the backends that could be built.
func newGeneration(cfg *config.Config, d *Daemon) (*generation, error) {
	g := &generation{cfg: cfg, backends: make(map[string]*sharedBackend), entries: make(map[string]*entry), over: make(chan struct{})}
	g.users.Store(1)
	g.own.Store(1)
	old := d.current.Load()
	if old == nil {
		old = new(generation)
	}
	var errs []error
	for i := range cfg.Backends {
		c := &cfg.Backends[i]
		b, err := old.backends[c.Name].share(c, d)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", cfg.Position("backends."+c.Name), err))
			continue
		}
		g.backends[c.Name] = b
	}
	if err := errors.Join(errs...); err != nil {
		return g, err
	}
	var err error
	g.routes, err = route.New(cfg, func(name string) request.Backend { return g.backends[name].Backend }, d.logs, &d.tally, old.routes)
	if err != nil {
		return g, err
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		g.entries[l.Name] = &entry{g.routes.Handler(l), g, l}
	}
	return g, nil
}

// counts reports whether requests of the generation are counted by a name.
func (g *generation) counts(n tally.Name) bool {
	return g.entries[n.Listener] != nil && (n.Route == "" || g.routes.Has(n.Route, n.Backend))
}

// start starts the backends that don't run yet, all at once. Its error has all that
// failed.
func (g *generation) start(ctx context.Context) error {
	errs := make([]error, len(g.cfg.Backends))
	var wg sync.WaitGroup
	for i := range g.cfg.Backends {
		wg.Go(func() {
			name := g.cfg.Backends[i].Name
			if err := g.backends[name].start(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", g.cfg.Position("backends."+name), err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// restart replaces the workers of a backend, those of all if name is "".
func (g *generation) restart(ctx context.Context, name string) error {
	var names []string // of those with workers
	for i := range g.cfg.Backends {
		n := g.cfg.Backends[i].Name
		b, ok := g.backends[n].Backend.(backend.Restarter)
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
		if l, ok := b.Backend.(backend.LeakFinder); ok && l.FindsLeaks() {
			all[name] = l.Leaks()
		}
	}
	return all
}

// shutdown stops the backends that no other generation has. What is in flight may end
// within ctx.
func (g *generation) shutdown(ctx context.Context) error {
	var errs []error
	for name, b := range g.backends {
		if err := b.release(ctx); err != nil {
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

// requests returns how many requests hold the generation.
func (g *generation) requests() int { return int(max(g.users.Load()-g.own.Load(), 0)) }

// holdOwn is hold for the daemon itself, which has the generation already.
func (g *generation) holdOwn() {
	g.own.Add(1)
	g.hold()
}

// releaseOwn is release for the daemon itself.
func (g *generation) releaseOwn() {
	g.own.Add(-1)
	g.release()
}

// Release implements request.Lease.
func (e *entry) Release() { e.generation.release() }
