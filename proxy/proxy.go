package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"mkd/config"
	"mkd/megaki"
)

// Proxy is a running configuration.
type Proxy struct {
	cfg      *config.Config
	logs     *Logs
	backends map[string]backend
	doors    []*door
	failed   chan error
	serving  sync.WaitGroup

	ctx context.Context
	cut context.CancelFunc // cuts requests off
}

// backend answers messages. It is safe for use by several goroutines.
type backend interface {
	// start makes the backend ready, or says why it can't be.
	start(ctx context.Context) error
	// serve answers a message.
	serve(w *megaki.ResponseWriter, m *message) error
	// shutdown ends the backend; what is under way may end within ctx.
	shutdown(ctx context.Context) error
}

// Build makes a Proxy of a checked configuration. It reads the key files, and
// opens and starts nothing yet.
func Build(cfg *config.Config, logs *Logs) (*Proxy, error) {
	p := &Proxy{cfg: cfg, logs: logs, backends: make(map[string]backend), failed: make(chan error, len(cfg.Listeners))}
	p.ctx, p.cut = context.WithCancel(context.Background())
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		made, err := newPHPBackend(b, logs)
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w", b.Name, err)
		}
		p.backends[b.Name] = made
	}
	shared := &shared{
		ctx:      p.ctx,
		memory:   megaki.NewMemory(int64(cfg.Limits.MessageMemory)),
		sessions: megaki.NewMemoryStore(cfg.Sessions.Capacity),
		ttl:      cfg.Sessions.TTL,
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		d, err := newDoor(l, newRouter(cfg.Routes, l.Name, p.backends), shared, logs)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		p.doors = append(p.doors, d)
	}
	return p, nil
}

// Start opens the listeners, starts the backends, and serves. After an error
// nothing is left open or running.
func (p *Proxy) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			for _, d := range p.doors {
				d.close()
			}
			err = errors.Join(err, p.stopBackends(ctx))
		}
	}()
	for _, d := range p.doors {
		if err := d.listen(); err != nil {
			return err
		}
	}
	for name, b := range p.backends {
		if err := b.start(ctx); err != nil {
			return fmt.Errorf("backend %s: %w", name, err)
		}
	}
	for _, d := range p.doors {
		p.serving.Go(func() {
			if err := d.server.Serve(d.listener); !errors.Is(err, megaki.ErrServerClosed) {
				p.failed <- fmt.Errorf("listener %s: %w", d.name, err)
			}
		})
		p.logs.Main.Sugar().Infow("listening", "listener", d.name, "address", d.listener.Addr().String())
	}
	return nil
}

// Addr returns the address that a listener has, nil if it isn't open.
func (p *Proxy) Addr(listener string) net.Addr {
	for _, d := range p.doors {
		if d.name == listener && d.listener != nil {
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
			if err := d.server.Shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("listener %s: %w", d.name, err)
			}
		})
	}
	wg.Wait()
	p.serving.Wait()
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
// shuts down within the shutdown_timeout of the configuration.
func (p *Proxy) Run(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			p.logs.Main.Info("stopped before it was ready")
			return nil
		}
		return err
	}
	p.greet()
	return p.serve(ctx)
}

// serve is Run after the start.
func (p *Proxy) serve(ctx context.Context) error {
	var failure error
	select {
	case <-ctx.Done():
		p.logs.Main.Sugar().Infow("stopping: requests under way may end", "within", p.cfg.ShutdownTimeout)
	case failure = <-p.failed:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.ShutdownTimeout)
	defer cancel()
	if err := p.Shutdown(drain); err != nil {
		p.logs.Main.Sugar().Warnw("cut off at the end of shutdown_timeout", "error", err)
	}
	p.logs.flush()
	p.logs.Main.Info("stopped")
	return failure
}

// greet tells a person at a terminal what to try.
func (p *Proxy) greet() {
	for _, d := range p.doors {
		key := d.cfg.Keys[0] + ".pub"
		if _, err := os.Stat(key); err != nil {
			key = "server.key.pub"
		}
		p.logs.Main.Info("try it: " + strings.Join([]string{
			beside("sazukari"), "send", "--server", reachable(d.listener.Addr()), "--key", fromHere(key), "hello"}, " "))
	}
}

// reachable returns the address of a listener as a client on this machine
// names it.
func reachable(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(t.Port))
	}
	return a.String()
}

// beside returns how to call a command that stands beside this one.
func beside(name string) string {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(path); err == nil {
			return fromHere(path)
		}
	}
	return name
}

// fromHere returns a path as it is written from the working directory, if that
// is shorter.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
