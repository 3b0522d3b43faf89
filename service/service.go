// Package service runs the daemon as a service of its machine: it reads the
// configuration file, listens on the admin socket, and acts on signals.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mkd/admin"
	"mkd/config"
	"mkd/proxy"
	"mkd/proxy/logs"
)

// service is the running daemon. It implements admin.Control and
// admin.Source.
type service struct {
	file      string // the configuration
	cfg       atomic.Pointer[config.Config]
	logs      *logs.Logs
	daemon    *proxy.Daemon
	admin     *admin.Server
	stop      context.CancelFunc // begins to stop the daemon
	reloading sync.Mutex         // held while the configuration changes
	drain     chan struct{}      // has one element once Drain was called

	version string
	started time.Time
	reloads reloads
}

// Run runs the daemon with a configuration file until a signal or a command stops
// it, or it fails. version is that of the program.
func Run(file, version string) error {
	signals := catchSignals()
	s := &service{file: file, drain: make(chan struct{}, 1), version: version, started: time.Now().UTC()}
	if err := s.load(); err != nil {
		return err
	}
	defer s.logs.Close()
	s.logs.RedirectStandard()
	proxy.LimitMemory(s.cfg.Load())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s.stop = stop
	if err := s.serveAdmin(); err != nil {
		return err
	}
	defer s.closeAdmin()
	go s.handle(ctx, signals)
	return s.daemon.Run(ctx)
}

// load reads the configuration, and builds the daemon.
func (s *service) load() error {
	cfg, warnings, err := read(s.file)
	if err != nil {
		return err
	}
	s.cfg.Store(cfg)
	if s.logs, err = proxy.NewLogs(cfg.Log, os.Stderr); err != nil {
		return err
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

// serveAdmin opens the admin socket, and the TCP listeners of the section admin. That
// the folder of a default socket can't be written is no reason not to run.
func (s *service) serveAdmin() error {
	s.admin = &admin.Server{Control: s, Source: s, Logger: s.logs.Admin()}
	l, err := admin.Listen(s.cfg.Load().Admin.Socket(s.file))
	switch {
	case err == nil:
		s.serve(l, admin.Socket)
	case s.cfg.Load().Admin.Address != "" || errors.Is(err, admin.ErrRunning):
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
		l, err := admin.ListenTCP(tcp.address)
		if err != nil {
			s.closeAdmin()
			return fmt.Errorf("%s: %w", tcp.key, err)
		}
		s.logs.Main.Sugar().Infow("listening", "listener", tcp.key, "address", l.Addr().String())
		s.serve(l, tcp.scope)
	}
	return nil
}

// serve serves a listener of the admin server.
func (s *service) serve(l net.Listener, scope admin.Scope) {
	go func() {
		if err := s.admin.Serve(l, scope); err != nil {
			s.logs.Main.Error(err.Error())
		}
	}()
}

func (s *service) closeAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.admin.Shutdown(ctx)
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

// RestartWorkers implements admin.Control.
func (s *service) RestartWorkers(ctx context.Context, name string) error {
	return s.daemon.RestartWorkers(ctx, name)
}

// Leaks implements admin.Control.
func (s *service) Leaks() map[string]any { return s.daemon.Leaks() }

// Reopen implements admin.Control.
func (s *service) Reopen() error {
	err := s.logs.Reopen()
	if err != nil {
		s.logs.Main.Sugar().Errorw("the log file can't be reopened; lines go on to the old one", "error", err)
		return err
	}
	s.logs.Main.Info("the log file was reopened")
	return nil
}
