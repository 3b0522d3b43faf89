package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"syscall"

	"mkd/config"
	"mkd/proxy/certs"
	"mkd/proxy/listener"
	"mkd/proxy/logs"
)

// Reload puts another checked configuration in the place of the current one. It
// builds and checks all of it first: reads keys and certificates, opens the sockets
// of new listeners, boots new workers. If anything is wrong, its error has all of it,
// and nothing has changed. Requests in flight end on the old configuration.
func (d *Daemon) Reload(ctx context.Context, cfg *config.Config) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	stopping := errors.New("mkd is stopping")
	if d.stopped {
		return stopping
	}
	ctx, cancel := context.WithCancelCause(ctx) // Shutdown waits for workers that boot, but not for long
	defer cancel(nil)
	defer context.AfterFunc(d.running, func() { cancel(stopping) })()
	fixed := restartNeeded(d.current.Load().cfg, cfg)
	c, err := d.plan(cfg)
	if err == nil && fixed == nil {
		err = d.prepare(ctx, c)
	}
	if err := errors.Join(fixed, err); err != nil {
		if c != nil {
			err = errors.Join(err, d.abandon(c))
		}
		return err
	}
	d.swap(c)
	return nil
}

// restartNeeded returns an error for each section that a reload can't change.
func restartNeeded(old, cfg *config.Config) error {
	var errs []error
	fixed := func(section string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			errs = append(errs, fmt.Errorf("%s has changed: restart needed", section))
		}
	}
	a, b := old.Sessions, cfg.Sessions
	a.TTL = b.TTL
	fixed("sessions (all but ttl)", a, b)
	fixed("storage", old.Storage, cfg.Storage)
	fixed("admin", old.Admin, cfg.Admin)
	return errors.Join(errs...)
}

// change is a configuration that can take the place of the current one. Until swap
// nothing of it is in use.
type change struct {
	generation *generation
	certs      *certs.Set
	log        io.Writer
	listeners  []*openListener                      // in their order
	settings   map[*openListener]*listener.Settings // of those that are open already
}

// plan builds what a configuration needs beside what the current one has. It reads
// and checks all files, and neither opens nor starts anything. Its error has all that
// is wrong.
func (d *Daemon) plan(cfg *config.Config) (*change, error) {
	c := &change{certs: d.certs.NewSet(), settings: make(map[*openListener]*listener.Settings)}
	var err error
	if c.generation, err = newGeneration(cfg, d); err != nil {
		err = errors.Join(err, c.generation.shutdown(context.Background()))
	}
	errs := []error{err}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		err := d.planListener(c, cfg, l)
		if e := (*certs.Error)(nil); err != nil && !errors.As(err, &e) { // else it has its place
			err = fmt.Errorf("%s: %w", cfg.Position("listeners."+l.Name), err)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		if errs[0] == nil {
			err = errors.Join(err, c.generation.shutdown(context.Background()))
		}
		return nil, err
	}
	return c, nil
}

// planListener prepares other settings for a listener that is open, or makes a new
// one.
func (d *Daemon) planListener(c *change, cfg *config.Config, l *config.Listener) (err error) {
	env := &listener.Daemon{
		Base:       d.ctx,
		Trusted:    listener.Networks(cfg.TrustedProxies),
		Logs:       d.logs,
		HTTPMemory: d.webMemory,
		Memory:     d.memory,
		Sessions:   d.sessions.Switch,
		SessionTTL: cfg.Sessions.TTL,
		Handshakes: d.keys,
		Challenge:  d.certs.HTTPChallengeHandler,
	}
	if l.HTTPS != nil {
		if err := planTLS(c, cfg, l, env); err != nil {
			return err
		}
	}
	for _, o := range d.open() {
		if old := o.config(); old.Name == l.Name && old.Address() == l.Address() {
			env.Enter = o.enter
			c.listeners = append(c.listeners, o)
			c.settings[o], err = o.Prepare(l, env)
			return err
		}
	}
	o := new(openListener)
	env.Enter = o.enter
	if o.Listener, err = listener.New(l, env); err != nil {
		return err
	}
	o.cfg.Store(l)
	o.entry.Store(c.generation.entries[l.Name])
	c.listeners = append(c.listeners, o)
	return nil
}

// prepare opens and starts what a change needs.
func (d *Daemon) prepare(ctx context.Context, c *change) error {
	errs := []error{at(c.generation.cfg.Position("storage"), c.certs.Prepare())}
	var err error
	c.log, err = d.planLogs(d.current.Load().cfg.Log, c.generation.cfg.Log)
	errs = append(errs, at(c.generation.cfg.Position("log.output.file"), err))
	for _, o := range c.listeners {
		if s := c.settings[o]; s != nil {
			err = o.OpenHTTP3(s)
		} else {
			err = d.openBeside(o)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.generation.cfg.Position("listeners."+o.config().Name), err))
		}
	}
	return errors.Join(append(errs, c.generation.start(ctx))...)
}

// openBeside opens a listener while others are open. One of the same address, which
// has another name, shares its socket.
func (d *Daemon) openBeside(o *openListener) error {
	address := o.config().Address()
	var file *os.File
	for _, other := range d.open() {
		if other.config().Address() == address && !isAnyPort(address) {
			f, err := other.File()
			if err != nil {
				return err
			}
			defer f.Close()
			file = f
		}
	}
	err := o.Open(file)
	if errors.Is(err, syscall.EADDRINUSE) {
		for _, other := range d.open() {
			if name := other.config().Name; portOf(other.config().Address()) == portOf(address) {
				return fmt.Errorf("%w. The listener %s has the port until a new configuration is in use: restart needed", err, name)
			}
		}
	}
	return err
}

// abandon closes and stops what prepare has opened and started.
func (d *Daemon) abandon(c *change) error {
	ctx := context.Background()
	if f, ok := c.log.(*logs.File); ok && c.log != d.logs.Output() {
		f.Close()
	}
	for _, o := range c.listeners {
		if s := c.settings[o]; s != nil {
			s.Abandon()
		} else {
			o.Shutdown(ctx)
		}
	}
	return c.generation.shutdown(ctx)
}

// swap puts a change, which is prepared, into use. It can't fail.
func (d *Daemon) swap(c *change) {
	before := d.open()
	d.mu.Lock()
	d.listeners = c.listeners
	d.mu.Unlock()
	old := d.current.Swap(c.generation)
	cfg := c.generation.cfg
	d.logs.Configure(c.log, logOptions(cfg.Log)) // checked with the configuration
	d.memory.SetLimit(int64(cfg.Limits.MessageMemory))
	d.webMemory.SetLimits(int64(cfg.Limits.HTTPMemory), 0)
	d.spool.Configure(&cfg.Limits.Spool)
	d.certs.Use(c.certs)
	for _, o := range c.listeners {
		s := c.settings[o]
		if s == nil {
			d.serve(o)
			continue
		}
		e := c.generation.entries[o.config().Name]
		o.cfg.Store(e.listener)
		o.entry.Store(e)
		o.Use(s)
	}
	for _, o := range before {
		if !slices.Contains(c.listeners, o) {
			old.holdOwn()
			d.retired.Go(func() { d.drain(o, old) })
		}
	}
	d.tally.Keep(c.generation.counts)
	d.retire(old)
}

// drain closes a listener that the configuration doesn't have any more. Its requests
// enter the last generation that had it. A client may be about to send, and nobody knows
// when tunnels would end by themselves: until shutdown_timeout is over, or the daemon
// stops, connections are closed only after a response.
func (d *Daemon) drain(o *openListener, last *generation) {
	defer last.releaseOwn()
	ctx, cancel := context.WithTimeout(d.ctx, last.cfg.ShutdownTimeout)
	defer cancel()
	unhurried, stop := context.WithCancel(ctx)
	defer context.AfterFunc(d.running, stop)()
	o.Drain(unhurried)
	stop()
	if err := o.Shutdown(ctx); err != nil {
		d.logs.Main.Sugar().Warnw("connections of a removed listener were cut off at the end of shutdown_timeout", "listener", o.config().Name, "error", err)
	}
	d.logs.Main.Sugar().Infow("a removed listener was closed", "listener", o.config().Name)
}

// retire gives up the daemon's hold of a generation, which is shut down when its
// last request has ended.
func (d *Daemon) retire(g *generation) {
	d.mu.Lock()
	d.replaced = append(d.replaced, g)
	d.mu.Unlock()
	d.retired.Go(func() {
		<-g.over
		d.mu.Lock()
		d.replaced = slices.DeleteFunc(d.replaced, func(r *generation) bool { return r == g })
		d.mu.Unlock()
		if err := g.shutdown(context.Background()); err != nil {
			d.logs.Main.Sugar().Warnw("shutting down what a new configuration replaced", "error", err)
		}
	})
	g.releaseOwn()
}

// inFlight returns the requests that have begun and not ended, those on earlier
// configurations too.
func (d *Daemon) inFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.current.Load().requests()
	for _, g := range d.replaced {
		n += g.requests()
	}
	return n
}
