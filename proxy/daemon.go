package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/certs"
	"mkd/proxy/forward"
	"mkd/proxy/keys"
	"mkd/proxy/logs"
	"mkd/proxy/tally"
	"mkd/share"
)

// Daemon is what outlives a configuration: sockets, sessions, message memory,
// spool, certificates and logs. Requests are handled by its current generation.
type Daemon struct {
	logs      *logs.Logs
	spool     *forward.Spool
	memory    *megaki.Memory
	webMemory *share.Pool // of the clients of HTTP and HTTPS listeners, in bytes
	sessions  *sessionStore
	storage   string // the folder
	certs     *certs.Manager
	keys      *keys.Ledger
	saving    context.Context // of keys
	stopSave  context.CancelFunc
	tally     tally.Tally
	secret    [32]byte // of cookies that need no other
	phase     atomic.Int32
	current   atomic.Pointer[generation]
	retired   sync.WaitGroup                                              // generations that requests still hold, and listeners that drain
	inherited []Socket                                                    // that others have opened
	take      func() (receive func(megaki.SessionStore) error, err error) // see TakeOver
	until     atomic.Pointer[time.Time]                                   // when Shutdown waits no more; nil: as long as it may

	changing  sync.Mutex // held while the daemon starts, reloads or shuts down
	stopped   bool       // guarded by changing
	mu        sync.Mutex
	listeners []*openListener // guarded by mu
	replaced  []*generation   // that requests still hold; guarded by mu

	maintaining sync.Mutex // held while maintenance is turned on or off

	failed  chan error
	serving sync.WaitGroup
	running context.Context // ends when Shutdown begins
	stop    context.CancelFunc
	ctx     context.Context
	cut     context.CancelFunc // cuts requests off
}

// New makes a daemon of a checked configuration. It reads the key files, and
// opens and starts nothing yet.
func New(cfg *config.Config, log *logs.Logs) (*Daemon, error) {
	d := &Daemon{
		logs:      log,
		spool:     forward.NewSpool(&cfg.Limits.Spool),
		memory:    megaki.NewMemory(int64(cfg.Limits.MessageMemory)),
		webMemory: share.NewPool(int64(cfg.Limits.HTTPMemory), 0),
		storage:   cfg.Storage.Path,
		certs:     certs.New(cfg.Storage.Path, log.Main),
		failed:    make(chan error, 1),
		keys:      keys.Open(filepath.Join(cfg.Storage.Path, keys.LedgerFile)),
	}
	rand.Read(d.secret[:]) // it never fails
	d.ctx, d.cut = context.WithCancel(context.Background())
	d.running, d.stop = context.WithCancel(d.ctx)
	d.saving, d.stopSave = context.WithCancel(d.ctx)
	if err := d.shareCertificates(&cfg.Storage); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Position("storage"), err)
	}
	var err error
	if d.sessions, err = newSessionStore(&cfg.Sessions, log); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Position("sessions"), err)
	}
	c, err := d.plan(cfg)
	if err != nil {
		return nil, err
	}
	d.current.Store(c.generation)
	d.certs.Use(c.certs)
	d.listeners = c.listeners
	return d, nil
}

// Start opens the listeners, starts the backends, and serves. After an error
// nothing is left open or running.
func (d *Daemon) Start(ctx context.Context) (err error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	g := d.current.Load()
	defer func() {
		d.closeInherited()
		if err != nil {
			for _, l := range d.listeners {
				l.Shutdown(ctx)
			}
			err = errors.Join(err, g.shutdown(ctx), d.sessions.close())
		}
	}()
	d.resumeMaintenance()
	if err := at(g.cfg.Position("storage"), d.certs.Prepare()); err != nil {
		return err
	}
	for _, l := range d.listeners {
		if err := l.Open(d.inheritedBy(l.config())); err != nil {
			return fmt.Errorf("%s: %w", g.cfg.Position("listeners."+l.config().Name), err)
		}
	}
	if err := g.start(ctx); err != nil {
		return err
	}
	if err := d.openSessions(); err != nil {
		return err
	}
	for _, l := range d.listeners {
		d.serve(l)
	}
	d.serving.Go(func() { d.keys.Run(d.saving, d.keysFailed) })
	d.certs.Start(d.ctx) // the listeners respond to its challenges
	d.phase.Store(phaseServing)
	return nil
}

// serve starts accepting connections of a listener.
func (d *Daemon) serve(l *openListener) {
	d.serving.Go(func() {
		if err := l.Serve(); err != nil {
			select {
			case d.failed <- fmt.Errorf("listener %s: %w", l.config().Name, err):
			default: // one failure ends the daemon
			}
		}
	})
	d.logs.Main.Sugar().Infow("listening", "listener", l.config().Name, "address", l.Addr().String())
}

// RestartWorkers replaces the PHP workers of a backend one after the other, those of
// all backends if name is "", and waits until all are replaced. It drops no request.
func (d *Daemon) RestartWorkers(ctx context.Context, name string) error {
	return d.current.Load().restart(ctx, name)
}

// Leaks returns what the requests of PHP workers have left behind, by backend, for
// JSON. Backends that don't look for it are left out.
func (d *Daemon) Leaks() map[string]any { return d.current.Load().leaks() }

// KeyUsage returns how many handshakes used each server key.
func (d *Daemon) KeyUsage() (map[megaki.KeyID]keys.Usage, error) { return d.keys.Report() }

// keysFailed logs that the counts of keys can't be written.
func (d *Daemon) keysFailed(err error) {
	d.logs.Main.Sugar().Warnw("how often keys are used can't be kept", "error", err)
}

// Addr returns the address of a listener, nil if it isn't open.
func (d *Daemon) Addr(listener string) net.Addr {
	for _, l := range d.open() {
		if l.config().Name == listener {
			return l.Addr()
		}
	}
	return nil
}

// open returns the listeners.
func (d *Daemon) open() []*openListener {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.listeners
}

// Shutdown stops accepting, lets requests in flight end within ctx, and stops
// the backends. Its error names what was cut off.
func (d *Daemon) Shutdown(ctx context.Context) error {
	d.stop() // first: it ends a Reload
	d.changing.Lock()
	defer d.changing.Unlock()
	d.stopped = true
	defer d.cut()
	d.phase.CompareAndSwap(phaseServing, phaseStopping)
	stop := context.AfterFunc(ctx, d.cut)
	defer stop()
	listeners := d.open()
	errs := make([]error, len(listeners))
	var wg sync.WaitGroup
	for i, l := range listeners {
		wg.Go(func() {
			if err := l.Shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("listener %s: %w", l.config().Name, err)
			}
		})
	}
	wg.Wait()
	d.stopSave()
	d.serving.Wait()
	d.certs.Close()
	if err := d.keys.Save(); err != nil {
		d.keysFailed(err)
	}
	g := d.current.Load()
	g.releaseOwn()
	err := errors.Join(errors.Join(errs...), g.shutdown(ctx))
	d.retired.Wait()
	return errors.Join(err, d.sessions.close())
}

// Alive reports whether the daemon could handle a request at each listener: it enters
// the current generation, and leaves it. While the daemon stops nobody can enter, and it is
// alive.
func (d *Daemon) Alive(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, l := range d.open() {
			l.Connections() // takes the lock that each connection takes
			if e := l.entry.Load(); e.generation.hold() {
				e.Release()
			}
		}
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no request can be handled: %w", context.Cause(ctx))
	}
}

// Run starts the daemon, calls ready, and serves until ctx ends or a listener fails.
// Then it shuts down within shutdown_timeout, as it does at once after an error of ready.
func (d *Daemon) Run(ctx context.Context, ready func() error) error {
	if err := d.Start(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			d.logs.Main.Info("stopped before it was ready")
			return nil
		}
		return err
	}
	if err := ready(); err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, d.Wait(ended))
	}
	return d.Wait(ctx)
}

// Wait is what is left of Run after Start.
func (d *Daemon) Wait(ctx context.Context) error {
	d.greet()
	go returnMemory(d.ctx)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-d.failed:
	}
	timeout := d.current.Load().cfg.ShutdownTimeout
	if until := d.until.Load(); until != nil {
		timeout = time.Until(*until)
	}
	if failure == nil {
		d.logs.Main.Sugar().Infow("stopping: requests in flight may end", "within", timeout)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := d.Shutdown(drain); err != nil {
		d.logs.Main.Sugar().Warnw("requests were cut off at the end of shutdown_timeout", "error", err)
	}
	d.logs.Main.Info("stopped")
	return failure
}
