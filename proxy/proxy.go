package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/certs"
	"mkd/proxy/logs"
)

// Proxy is a running configuration.
type Proxy struct {
	cfg      *config.Config
	logs     *logs.Logs
	backends map[string]backend
	doors    []*openDoor
	certs    *certs.Manager
	failed   chan error
	serving  sync.WaitGroup

	ctx context.Context
	cut context.CancelFunc // cuts requests off
}

// backend answers requests. It is safe for use by several goroutines.
type backend interface {
	action
	// start makes the backend ready, or says why it can't be.
	start(ctx context.Context) error
	// shutdown ends the backend; what is under way may end within ctx.
	shutdown(ctx context.Context) error
}

// door lets clients in by a listener, and hands their requests to its gate.
type door interface {
	listen() (net.Listener, error)
	// serve returns nil after shutdown.
	serve(net.Listener) error
	// shutdown closes the door; what is under way may end within ctx.
	shutdown(ctx context.Context) error
}

// openDoor is a door with its listener, which is nil before Start.
type openDoor struct {
	door
	cfg      *config.Listener
	listener net.Listener
}

// Build makes a Proxy of a checked configuration. It reads the key files, and
// opens and starts nothing yet.
func Build(cfg *config.Config, logs *logs.Logs) (*Proxy, error) {
	p := &Proxy{cfg: cfg, logs: logs, backends: make(map[string]backend), failed: make(chan error, len(cfg.Listeners))}
	p.ctx, p.cut = context.WithCancel(context.Background())
	p.certs = certs.New(cfg.Storage, logs.Main)
	spool := newSpool(&cfg.Limits.Spool)
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		made, err := newBackend(b, spool, logs)
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w", b.Name, err)
		}
		p.backends[b.Name] = made
	}
	if err := p.buildDoors(); err != nil {
		return nil, err
	}
	return p, nil
}

// newBackend makes a backend of its kind.
func newBackend(b *config.Backend, sp *spool, logs *logs.Logs) (backend, error) {
	switch {
	case b.PHP != nil:
		return newPHPBackend(b, sp, logs)
	case b.FastCGI != nil:
		return newFastCGIBackend(b, sp, logs)
	case b.Files != nil:
		return newFilesBackend(b.Files)
	}
	return newHTTPBackend(b, logs)
}

func (p *Proxy) buildDoors() error {
	shared := &shared{
		memory:   megaki.NewMemory(int64(p.cfg.Limits.MessageMemory)),
		sessions: megaki.NewMemoryStore(p.cfg.Sessions.Capacity),
		ttl:      p.cfg.Sessions.TTL,
	}
	routes := newRoutes(p.cfg.Routes, p.backends)
	for i := range p.cfg.Listeners {
		l := &p.cfg.Listeners[i]
		g := &gate{
			routes:      routesOf(l.Name, routes),
			trusted:     networks(p.cfg.TrustedProxies),
			clientField: http.CanonicalHeaderKey(p.cfg.ClientIPField),
			logs:        p.logs,
			base:        p.ctx,
		}
		d, err := p.newDoor(l, g, shared)
		if err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		p.doors = append(p.doors, &openDoor{door: d, cfg: l})
	}
	return nil
}

// newDoor makes a door of its kind.
func (p *Proxy) newDoor(l *config.Listener, g *gate, sh *shared) (door, error) {
	switch {
	case l.Megaki != nil:
		return newMegakiDoor(l, g, sh, p.logs)
	case l.HTTPS != nil:
		secure, err := p.certificates(l)
		if err != nil {
			return nil, err
		}
		return newWebDoor(l.Name, l.HTTPS.Address, &l.HTTPS.Web, secure, g, p.logs), nil
	}
	if l.HTTP.RedirectHTTPS {
		g.only = redirectToHTTPS(httpsPort(p.cfg))
	}
	d := newWebDoor(l.Name, l.HTTP.Address, &l.HTTP.Web, nil, g, p.logs)
	d.server.Handler = p.certs.HTTPChallengeHandler(d.server.Handler)
	return d, nil
}

// Start opens the listeners, starts the backends, and serves. After an error
// nothing is left open or running.
func (p *Proxy) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			for _, d := range p.doors {
				if d.listener != nil {
					d.listener.Close()
				}
			}
			err = errors.Join(err, p.stopBackends(ctx))
		}
	}()
	if err := p.certs.Prepare(); err != nil {
		return err
	}
	for _, d := range p.doors {
		if d.listener, err = d.listen(); err != nil {
			return fmt.Errorf("listener %s: %w", d.cfg.Name, err)
		}
	}
	for name, b := range p.backends {
		if err := b.start(ctx); err != nil {
			return fmt.Errorf("backend %s: %w", name, err)
		}
	}
	for _, d := range p.doors {
		p.serving.Go(func() {
			if err := d.serve(d.listener); err != nil {
				p.failed <- fmt.Errorf("listener %s: %w", d.cfg.Name, err)
			}
		})
		p.logs.Main.Sugar().Infow("listening", "listener", d.cfg.Name, "address", d.listener.Addr().String())
	}
	p.certs.Start(p.ctx) // its challenges are answered by the doors
	return nil
}

// Addr returns the address that a listener has, nil if it isn't open.
func (p *Proxy) Addr(listener string) net.Addr {
	for _, d := range p.doors {
		if d.cfg.Name == listener && d.listener != nil {
			return d.listener.Addr()
		}
	}
	return nil
}

// Shutdown stops accepting, lets requests under way end within ctx, and stops
// the backends. Its error says what had to be cut off.
func (p *Proxy) Shutdown(ctx context.Context) error {
	defer p.cut()
	stop := context.AfterFunc(ctx, p.cut)
	defer stop()
	errs := make([]error, len(p.doors))
	var wg sync.WaitGroup
	for i, d := range p.doors {
		wg.Go(func() {
			if err := d.shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("listener %s: %w", d.cfg.Name, err)
			}
		})
	}
	wg.Wait()
	p.serving.Wait()
	p.certs.Close()
	return errors.Join(errors.Join(errs...), p.stopBackends(ctx))
}

func (p *Proxy) stopBackends(ctx context.Context) error {
	var errs []error
	for name, b := range p.backends {
		if err := b.shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("backend %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Run starts the Proxy and serves until ctx ends or a listener fails. Then it
// shuts down within shutdown_timeout.
func (p *Proxy) Run(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			p.logs.Main.Info("stopped before it was ready")
			return nil
		}
		return err
	}
	p.greet()
	go returnMemory(p.ctx)
	return p.serve(ctx)
}

// serve does what is left of Run after the start.
func (p *Proxy) serve(ctx context.Context) error {
	var failure error
	select {
	case <-ctx.Done():
		p.logs.Main.Sugar().Infow("stopping: requests in flight may end", "within", p.cfg.ShutdownTimeout)
	case failure = <-p.failed:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.ShutdownTimeout)
	defer cancel()
	if err := p.Shutdown(drain); err != nil {
		p.logs.Main.Sugar().Warnw("requests were cut off at the end of shutdown_timeout", "error", err)
	}
	p.logs.Main.Info("stopped")
	return failure
}
