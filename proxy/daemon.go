package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/certs"
	"mkd/proxy/forward"
	"mkd/proxy/listener"
	"mkd/proxy/logs"
	"mkd/proxy/request"
	"mkd/proxy/tally"
)

// Daemon is what outlives a configuration: sockets, sessions, message memory,
// spool, certificates and logs. Requests are handled by its current generation.
type Daemon struct {
	logs      *logs.Logs
	spool     *forward.Spool
	memory    *megaki.Memory
	sessions  *sessionStore
	trusted   []netip.Prefix
	certs     *certs.Manager
	tally     tally.Tally
	listeners []*openListener
	current   atomic.Pointer[generation]
	retired   sync.WaitGroup // generations that requests still hold

	failed  chan error
	serving sync.WaitGroup
	ctx     context.Context
	cut     context.CancelFunc // cuts requests off
}

// openListener is a listener with its socket, which is nil before Start.
type openListener struct {
	listener.Listener
	cfg    *config.Listener
	socket net.Listener
}

// New makes a daemon of a checked configuration. It reads the key files, and
// opens and starts nothing yet.
func New(cfg *config.Config, log *logs.Logs) (*Daemon, error) {
	d := &Daemon{
		logs:    log,
		spool:   forward.NewSpool(&cfg.Limits.Spool),
		memory:  megaki.NewMemory(int64(cfg.Limits.MessageMemory)),
		trusted: listener.Networks(cfg.TrustedProxies),
		certs:   certs.New(cfg.Storage, log.Main),
		failed:  make(chan error, len(cfg.Listeners)),
	}
	d.ctx, d.cut = context.WithCancel(context.Background())
	var err error
	if d.sessions, err = newSessionStore(&cfg.Sessions, log); err != nil {
		return nil, err
	}
	g, err := newGeneration(cfg, d)
	if err != nil {
		return nil, err
	}
	d.current.Store(g)
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		made, err := d.newListener(cfg, l)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		d.listeners = append(d.listeners, &openListener{Listener: made, cfg: l})
	}
	return d, nil
}

// newListener makes a listener of its kind.
func (d *Daemon) newListener(cfg *config.Config, l *config.Listener) (listener.Listener, error) {
	env := &listener.Daemon{
		Enter:      d.enter,
		Base:       d.ctx,
		Trusted:    d.trusted,
		Logs:       d.logs,
		Memory:     d.memory,
		Sessions:   d.sessions.SessionStore,
		SessionTTL: cfg.Sessions.TTL,
		Challenge:  d.certs.HTTPChallengeHandler,
	}
	if l.HTTPS != nil {
		var err error
		if env.TLS, err = d.certs.Add(l.Name, certificateOptions(cfg, l)); err != nil {
			return nil, err
		}
	}
	return listener.New(l, env)
}

// enter takes the current generation for a request to a listener.
func (d *Daemon) enter(listener string) request.Lease {
	for {
		g := d.current.Load()
		if g.hold() {
			return g.entries[listener]
		}
		// It was replaced in the meantime.
	}
}

// replace makes g, which has been started, the current generation. The old one
// is shut down when its last request has ended.
func (d *Daemon) replace(g *generation) {
	old := d.current.Swap(g)
	d.retired.Go(func() {
		<-old.over
		if err := old.shutdown(context.Background()); err != nil {
			d.logs.Main.Sugar().Warnw("shutting down what a new configuration replaced", "error", err)
		}
	})
	old.release()
}

// Start opens the listeners, starts the backends, and serves. After an error
// nothing is left open or running.
func (d *Daemon) Start(ctx context.Context) (err error) {
	g := d.current.Load()
	defer func() {
		if err != nil {
			for _, l := range d.listeners {
				if l.socket != nil {
					l.socket.Close()
				}
			}
			err = errors.Join(err, g.shutdown(ctx), d.sessions.close())
		}
	}()
	if err := d.sessions.open(); err != nil {
		return err
	}
	if err := d.certs.Prepare(); err != nil {
		return err
	}
	for _, l := range d.listeners {
		if l.socket, err = l.Listen(); err != nil {
			return fmt.Errorf("listener %s: %w", l.cfg.Name, err)
		}
	}
	if err := g.start(ctx); err != nil {
		return err
	}
	for _, l := range d.listeners {
		d.serving.Go(func() {
			if err := l.Serve(l.socket); err != nil {
				d.failed <- fmt.Errorf("listener %s: %w", l.cfg.Name, err)
			}
		})
		d.logs.Main.Sugar().Infow("listening", "listener", l.cfg.Name, "address", l.socket.Addr().String())
	}
	d.certs.Start(d.ctx) // the listeners respond to its challenges
	return nil
}

// RestartWorkers replaces the PHP workers of a backend one after the other, those of
// all backends if name is "", and waits until all are replaced. It drops no request.
func (d *Daemon) RestartWorkers(ctx context.Context, name string) error {
	return d.current.Load().restart(ctx, name)
}

// Leaks returns what the requests of PHP workers have left behind, by backend, for
// JSON. Backends that don't look for it are left out.
func (d *Daemon) Leaks() map[string]any { return d.current.Load().leaks() }

// Addr returns the address of a listener, nil if it isn't open.
func (d *Daemon) Addr(listener string) net.Addr {
	for _, l := range d.listeners {
		if l.cfg.Name == listener && l.socket != nil {
			return l.socket.Addr()
		}
	}
	return nil
}

// Shutdown stops accepting, lets requests in flight end within ctx, and stops
// the backends. Its error names what was cut off.
func (d *Daemon) Shutdown(ctx context.Context) error {
	defer d.cut()
	stop := context.AfterFunc(ctx, d.cut)
	defer stop()
	errs := make([]error, len(d.listeners))
	var wg sync.WaitGroup
	for i, l := range d.listeners {
		wg.Go(func() {
			if err := l.Shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("listener %s: %w", l.cfg.Name, err)
			}
		})
	}
	wg.Wait()
	d.serving.Wait()
	d.certs.Close()
	err := errors.Join(errors.Join(errs...), d.current.Load().shutdown(ctx))
	d.retired.Wait()
	return errors.Join(err, d.sessions.close())
}

// Run starts the daemon and serves until ctx ends or a listener fails. Then it
// shuts down within shutdown_timeout.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.Start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			d.logs.Main.Info("stopped before it was ready")
			return nil
		}
		return err
	}
	d.greet()
	go returnMemory(d.ctx)
	return d.serve(ctx)
}

// serve does what is left of Run after the start.
func (d *Daemon) serve(ctx context.Context) error {
	var failure error
	timeout := d.current.Load().cfg.ShutdownTimeout
	select {
	case <-ctx.Done():
		d.logs.Main.Sugar().Infow("stopping: requests in flight may end", "within", timeout)
	case failure = <-d.failed:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := d.Shutdown(drain); err != nil {
		d.logs.Main.Sugar().Warnw("requests were cut off at the end of shutdown_timeout", "error", err)
	}
	d.logs.Main.Info("stopped")
	return failure
}
