// Package service runs the daemon as a service of its machine: it reads the
// configuration file, listens on the admin socket, and acts on signals.
package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mkd/admin"
	"mkd/config"
	"mkd/cores"
	"mkd/proxy"
	"mkd/proxy/logs"
	"mkd/systemd"
)

// service is the running daemon. It implements admin.Control and
// admin.Source.
type service struct {
	file      string // the configuration
	cfg       atomic.Pointer[config.Config]
	logs      *logs.Logs
	daemon    *proxy.Daemon
	admin     *admin.Server
	socket    *net.UnixListener // of admin; nil: there is none
	adminTCP  []adminListener
	manager   *systemd.Manager
	old       *predecessor       // nil: this process took over from none
	dir       string             // the working directory
	upgraded  atomic.Bool        // another process has taken over; set while reloading is held
	ctx       context.Context    // ends when the daemon begins to stop
	stop      context.CancelFunc // begins to stop the daemon
	reloading sync.Mutex         // held while the configuration changes
	serves    atomic.Bool        // the service manager knows that the daemon is ready
	drain     chan struct{}      // has one element once Drain was called

	version string
	started time.Time
	reloads reloads
}

// Run runs the daemon with a configuration file until a signal or a command stops
// it, or it fails. version is that of the program.
func Run(file, version string) (err error) {
	signals := catchSignals()
	s := &service{file: file, drain: make(chan struct{}, 1), version: version, started: time.Now().UTC()}
	if s.dir, err = os.Getwd(); err != nil {
		return err
	}
	if s.old, err = inherit(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.old.failed(err)
		}
	}()
	if err := s.load(); err != nil {
		return err
	}
	defer s.logs.Close()
	s.logs.RedirectStandard()
	proxy.LimitMemory(s.cfg.Load())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.ctx, s.stop = ctx, stop
	s.manager = systemd.New(s.logs.Admin())
	s.inheritSockets()
	if err := s.openAdmin(); err != nil {
		return err
	}
	defer s.closeAdmin()
	if s.old == nil {
		s.serveAdmin()
	}
	go cores.Follow(ctx)
	go s.handle(ctx, signals)
	return s.daemon.Run(ctx, func() error { return s.ready(ctx) })
}

// inheritSockets gives the daemon what systemd or the old process has opened.
func (s *service) inheritSockets() {
	if s.old != nil {
		s.daemon.Inherit(s.old.sockets)
		s.daemon.TakeOver(s.old.takeSessions)
		return
	}
	var sockets []proxy.Socket
	for _, f := range systemd.Sockets() {
		sockets = append(sockets, proxy.Socket{Listener: f.Name(), File: f})
	}
	s.daemon.Inherit(sockets)
}

// ready is called once the daemon serves.
func (s *service) ready(ctx context.Context) error {
	if s.old != nil {
		if err := s.old.ready(s.daemon.SessionStore()); err != nil {
			return err
		}
		s.serveAdmin() // not before: /readyz and commands are for the process that serves
	}
	s.manager.Ready(s.status())
	s.serves.Store(true)
	go s.manager.Watch(ctx, s.check)
	go func() {
		<-ctx.Done()
		if s.reloading.Lock(); !s.upgraded.Load() { // else it isn't the main process any more
			s.manager.Stopping()
		}
		s.reloading.Unlock()
	}()
	return nil
}

// status is what systemctl status shows.
func (s *service) status() string {
	cfg := s.cfg.Load()
	return fmt.Sprintf("serving with %s: listeners %d, backends %d, routes %d", s.file, len(cfg.Listeners), len(cfg.Backends), len(cfg.Routes))
}

// check asks the daemon by its own socket whether it is alive. That somebody has removed
// the file of the socket is no reason to end a daemon that serves.
func (s *service) check(ctx context.Context) error {
	if s.socket == nil {
		return s.Alive(ctx)
	}
	body, err := (&admin.Client{Socket: s.socket.Addr().String()}).Get(ctx, "/healthz")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.Alive(ctx)
	case err != nil:
		return err
	}
	return body.Close()
}

// Alive implements admin.Control.
func (s *service) Alive(ctx context.Context) error { return s.daemon.Alive(ctx) }

// load reads the configuration, and builds the daemon.
func (s *service) load() error {
	cfg, warnings, err := read(s.file)
	if err != nil {
		return err
	}
	s.cfg.Store(cfg)
	if s.logs, err = proxy.NewLogs(cfg.Log, os.Stderr); err != nil {
		return fmt.Errorf("%s: %w", cfg.Position("log.output.file"), err)
	}
	for _, w := range warnings {
		s.logs.Main.Warn(w)
	}
	s.daemon, err = proxy.New(cfg, s.logs)
	return err
}

// read reads a configuration file, and returns what is valid but odd about it.
func read(file string) (cfg *config.Config, warnings []string, err error) {
	if cfg, err = config.Load(file); err != nil {
		return nil, nil, err
	}
	for _, w := range cfg.Warnings {
		warnings = append(warnings, w.Error())
	}
	more, err := proxy.Check(cfg)
	return cfg, append(warnings, more...), err
}

// openAdmin opens the admin socket, and the TCP listeners of the section admin. That
// the folder of a default socket can't be written is no reason not to run.
func (s *service) openAdmin() error {
	s.admin = &admin.Server{Control: s, Source: s, Logger: s.logs.Admin()}
	l, err := s.adminSocket()
	switch {
	case err == nil:
		s.socket = l
	case s.cfg.Load().Admin.Address != "":
		return fmt.Errorf("%s: %w", s.cfg.Load().Position("admin.address"), err)
	case errors.Is(err, admin.ErrRunning):
		return err
	default:
		s.logs.Main.Sugar().Warnw("commands such as mkd reload can't reach this daemon; set admin.address to a path that mkd can write", "error", err)
	}
	for _, tcp := range []struct {
		key, address string
		scope        admin.Scope
	}{{"admin.http", s.cfg.Load().Admin.HTTP, admin.ReadOnly}, {"admin.metrics", s.cfg.Load().Admin.Metrics, admin.Monitoring}} {
		if tcp.address == "" {
			continue
		}
		l, err := admin.ListenTCP(tcp.address, s.old.socket(tcp.key, tcp.address))
		if err != nil {
			s.closeAdmin()
			return fmt.Errorf("%s: %w", tcp.key, err)
		}
		s.adminTCP = append(s.adminTCP, adminListener{l, tcp.key, tcp.address, tcp.scope})
		s.logs.Main.Sugar().Infow("listening", "listener", tcp.key, "address", l.Addr().String())
	}
	return nil
}

// serveAdmin begins to serve what openAdmin has opened.
func (s *service) serveAdmin() {
	if s.socket != nil {
		s.socket.SetUnlinkOnClose(true)
		s.serve(s.socket, admin.Socket)
	}
	for _, l := range s.adminTCP {
		s.serve(l, l.scope)
	}
}

// serve serves a listener of the admin server.
func (s *service) serve(l net.Listener, scope admin.Scope) {
	go func() {
		if err := s.admin.Serve(l, scope); err != nil && !errors.Is(err, net.ErrClosed) {
			s.logs.Main.Error(err.Error())
		}
	}()
}

// adminListener is a TCP listener of the section admin.
type adminListener struct {
	*admin.TCPListener
	key, address string
	scope        admin.Scope
}

// adminSocket opens the admin socket, or takes that of the old process over, which is
// the old one's to remove until this process serves it.
func (s *service) adminSocket() (*net.UnixListener, error) {
	path := s.cfg.Load().Admin.Socket(s.file)
	if s.old == nil || s.old.admin == nil {
		return admin.Listen(path)
	}
	defer s.old.admin.Close()
	l, err := net.FileListener(s.old.admin)
	if err != nil {
		return nil, fmt.Errorf("the admin socket of the old process: %w", err)
	}
	taken, ok := l.(*net.UnixListener)
	if !ok || !samePath(taken.Addr().String(), path) {
		l.Close()
		return admin.Listen(path)
	}
	s.old.adminTaken = true
	return taken, nil
}

// samePath reports whether two paths are the same but for the way they are written.
func samePath(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}

func (s *service) closeAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.admin.Shutdown(ctx)
	if s.socket != nil {
		s.socket.Close() // if it was never served
	}
}

// Drain implements admin.Control.
func (s *service) Drain() error {
	select {
	case s.drain <- struct{}{}:
	default:
		return errors.New("mkd drains already")
	}
	delay := s.cfg.Load().DrainDelay
	s.logs.Main.Sugar().Infow("draining: /readyz fails, and mkd stops later", "after", delay)
	time.AfterFunc(delay, s.stop)
	return nil
}

// SetMaintenance implements admin.Control.
func (s *service) SetMaintenance(on bool) error {
	return s.daemon.SetMaintenance(on)
}

// RestartWorkers implements admin.Control.
func (s *service) RestartWorkers(ctx context.Context, name string) error {
	return s.daemon.RestartWorkers(ctx, name)
}

// Leaks implements admin.Control.
func (s *service) Leaks() map[string]any { return s.daemon.Leaks() }

// Reopen implements admin.Control.
func (s *service) Reopen() (bool, error) {
	isFile, err := s.logs.Reopen()
	switch {
	case err != nil:
		s.logs.Main.Sugar().Errorw("the log file can't be reopened; lines go on to the old one", "error", err)
	case isFile:
		s.logs.Main.Info("the log file was reopened")
	default:
		s.logs.Main.Info("there is no log file to reopen: mkd logs to standard error")
	}
	return isFile, err
}
