package cgi

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"mkd/php/internal/process"
)

// Start makes the socket and starts the processes. It returns when the first one
// is ready, within 30 s. If it fails, the error has what php-cgi printed, nothing
// is left, and the Server can't be started again. After Start returns, the Server
// doesn't depend on the context.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	switch s.state {
	case running:
		s.mu.Unlock()
		return ErrStarted
	case closing:
		s.mu.Unlock()
		return ErrClosed
	}
	s.state = running
	s.mu.Unlock()
	err := s.boot(ctx)
	if err != nil {
		s.mu.Lock()
		s.state = closing
		s.mu.Unlock()
		s.stop()
		s.killAll()
	}
	go s.cleanUp()
	if err != nil {
		<-s.done
	}
	return err
}

// boot starts the first process, and the others once it is ready.
func (s *Server) boot(ctx context.Context) (err error) {
	if err := process.CloseInherited(); err != nil {
		return err
	}
	sweep(s.opt.SocketDir)
	if s.listener, err = listen(s.address); err != nil {
		return err
	}
	if err := s.makeCodeCache(); err != nil {
		return err
	}
	if s.spawner, err = process.NewSpawner(s.identity, s.opt.Sandbox); err != nil {
		return err
	}
	p, err := s.startOne()
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, p); err != nil {
		return err
	}
	p.Output.ForgetTail()
	if os.Geteuid() == 0 && s.opt.User == "" {
		s.log.Warn("php-cgi runs as root: set user")
	}
	sound := max(minSoundLife, 2*time.Since(p.Started))
	s.supervisors.Go(func() { s.supervise(p, sound) })
	for range s.opt.Workers - 1 {
		s.supervisors.Go(func() { s.supervise(nil, sound) })
	}
	if s.opt.Linger > 0 {
		s.watcher.Go(s.watchLingering)
	}
	s.log.Info("php-cgi is ready", "workers", s.opt.Workers, "socket", s.address)
	return nil
}

// awaitReady waits until the first process is ready.
func (s *Server) awaitReady(ctx context.Context, p *cgiProcess) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("it wasn't ready within %s", bootTimeout))
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- probe(ctx, s.address) }()
	var err error
	select {
	case err = <-ready:
		if err == nil {
			return nil
		}
		select { // the exit status is a better reason than the error of a connection
		case <-p.Exited():
			err = fmt.Errorf("it ended before it was ready: %s", p.Ending())
		case <-time.After(time.Second):
		}
	case <-p.Exited():
		err = fmt.Errorf("it ended before it was ready: %s", p.Ending())
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-s.ctx.Done():
		return ErrClosed
	}
	p.Kill()
	p.AwaitOutput()
	if words := strings.TrimSpace(p.Output.Tail()); words != "" {
		return fmt.Errorf("starting %s: %w; it printed:\n%s", s.opt.Command, err, words)
	}
	return fmt.Errorf("starting %s: %w; it printed nothing: is it php-cgi?", s.opt.Command, err)
}

// startOne starts a process, and lists it until it has ended.
func (s *Server) startOne() (*cgiProcess, error) {
	if s.ctx.Err() != nil {
		return nil, ErrClosed
	}
	p, err := s.startProcess()
	if err != nil {
		return nil, err
	}
	s.started.Add(1)
	s.mu.Lock()
	s.processes[p] = struct{}{}
	killing := s.killing
	s.mu.Unlock()
	if killing {
		p.Kill()
	}
	s.supervisors.Go(func() {
		<-p.Exited()
		s.mu.Lock()
		delete(s.processes, p)
		s.mu.Unlock()
		p.AwaitOutput() // before the Server is shut down
	})
	return p, nil
}
