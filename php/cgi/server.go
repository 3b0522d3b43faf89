package cgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mkd/php/internal/process"
)

var (
	// ErrClosed says that the Server is shut down.
	ErrClosed = errors.New("php-cgi is shut down")
	// ErrStarted says that the Server was started before.
	ErrStarted = errors.New("php-cgi was started before")
)

const (
	bootTimeout = 30 * time.Second // until the first process is ready
	killTimeout = 5 * time.Second  // from SIGKILL until the processes are gone
)

// Server is a number of php-cgi processes behind one unix socket. It is started
// once. Its methods may be called at any time, by several goroutines.
type Server struct {
	opt     Options
	log     *slog.Logger
	address string
	ctx     context.Context // ends when the Shutdown begins
	stop    context.CancelFunc

	listener *os.File
	identity *process.Identity // nil: this process's
	spawner  *process.Spawner
	keepers  sync.WaitGroup // and processes
	watcher  sync.WaitGroup
	gone     chan struct{} // closed when all processes have ended
	ended    chan struct{} // closed when nothing is left

	started, crashes, lingered atomic.Int64

	mu        sync.Mutex
	state     state
	killing   bool
	processes map[*cgiProcess]struct{}
}

// state is how far a Server has come.
type state int

const (
	fresh   state = iota
	running       // from the beginning of Start
	closing
)

// New checks the options and chooses the socket's path. It makes and starts
// nothing.
func New(opt Options) (*Server, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opt:       opt,
		log:       opt.Logger,
		gone:      make(chan struct{}),
		ended:     make(chan struct{}),
		processes: make(map[*cgiProcess]struct{}),
	}
	if s.identity, err = process.LookupIdentity(opt.User, opt.Group); err != nil {
		return nil, err
	}
	if s.address, err = newSocketPath(opt.SocketDir); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Address returns the path of the unix socket. It is there from the end of
// Start until Shutdown.
func (s *Server) Address() string { return s.address }

// Start makes the socket and starts the processes. It returns once the first
// one is ready, within 30 s; if that fails, with what php-cgi printed. Nothing
// is left then, and the Server can't be started again. Afterwards the Server
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
	go s.clear()
	if err != nil {
		<-s.ended
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
	if s.spawner, err = process.NewSpawner(s.identity, s.opt.Sandbox); err != nil {
		return err
	}
	p, err := s.startOne()
	if err != nil {
		return err
	}
	if err := s.await(ctx, p); err != nil {
		return err
	}
	p.Output.ForgetTail()
	if os.Geteuid() == 0 && s.opt.User == "" {
		s.log.Warn("php-cgi runs as root: say which user it should be")
	}
	sound := max(minSoundLife, 2*time.Since(p.Started))
	s.keepers.Go(func() { s.keep(p, sound) })
	for range s.opt.Workers - 1 {
		s.keepers.Go(func() { s.keep(nil, sound) })
	}
	if s.opt.Linger > 0 {
		s.watcher.Go(s.watchLingering)
	}
	s.log.Info("php-cgi is ready", "workers", s.opt.Workers, "socket", s.address)
	return nil
}

// await waits until the first process is ready.
func (s *Server) await(ctx context.Context, p *cgiProcess) error {
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
		select { // how it ended says more than that the connection did
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

// startOne starts a process, and keeps account of it until it has ended.
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
	s.keepers.Go(func() {
		<-p.Exited()
		s.mu.Lock()
		delete(s.processes, p)
		s.mu.Unlock()
		p.AwaitOutput() // its last words are logged before the Server is shut down
	})
	return p, nil
}

// Shutdown has the processes end once they have answered the requests under way
// and those in the queue; new connections are refused. When the context ends
// they are killed, and Shutdown returns the context's cause. Then nothing is
// left: no process, no socket, no folder.
//
// An idle connection that a client keeps occupies its process until the client
// closes it, or the context ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.state == fresh {
		close(s.ended)
	}
	s.state = closing
	s.mu.Unlock()
	s.stop()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	s.killAll()
	timer := time.NewTimer(killTimeout)
	defer timer.Stop()
	select {
	case <-s.ended:
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("killed processes of php-cgi don't end: %v", s.Status().Workers)
	}
}

// clear waits for the Shutdown, then for the processes, and removes what was made.
func (s *Server) clear() {
	<-s.ctx.Done()
	if s.listener != nil {
		if err := shutdownListener(s.listener); err != nil { // the processes won't notice
			s.log.Error("php-cgi can't be shut down in order", "error", err)
			s.killAll()
		}
	}
	s.keepers.Wait()
	close(s.gone)
	s.watcher.Wait()
	if s.spawner != nil {
		s.spawner.Close()
	}
	if s.listener != nil {
		s.listener.Close()
		if err := os.RemoveAll(filepath.Dir(s.address)); err != nil {
			s.log.Warn("the folder of php-cgi's socket can't be removed", "error", err)
		}
	}
	close(s.ended)
}

// killAll kills all processes, and those that are just being started.
func (s *Server) killAll() {
	s.mu.Lock()
	s.killing = true
	processes := s.list()
	s.mu.Unlock()
	for _, p := range processes {
		p.Kill()
	}
}

// list returns the processes that are there, the oldest first. The caller holds
// the mutex.
func (s *Server) list() []*cgiProcess {
	processes := make([]*cgiProcess, 0, len(s.processes))
	for p := range s.processes {
		processes = append(processes, p)
	}
	slices.SortFunc(processes, func(a, b *cgiProcess) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.PID, b.PID))
	})
	return processes
}

// Status tells how a Server is.
type Status struct {
	Workers []Worker // the processes that are there, the oldest first

	// Busy is how many of them have a connection, and Queued how many
	// connections wait for one. -1: the system doesn't tell.
	Busy, Queued int

	Started  int64 // processes, since Start
	Crashes  int64 // of them, that ended by a signal or too early
	Lingered int64 // of them, that were killed since they went on without a client
}

// Worker is a process of php-cgi.
type Worker struct {
	PID     int
	Started time.Time
}

// Status returns the state at this moment. It asks the system for its list of
// unix sockets.
func (s *Server) Status() Status {
	st := Status{Busy: -1, Queued: -1, Started: s.started.Load(), Crashes: s.crashes.Load(), Lingered: s.lingered.Load()}
	s.mu.Lock()
	for _, p := range s.list() {
		st.Workers = append(st.Workers, Worker{PID: p.PID, Started: p.Started})
	}
	s.mu.Unlock()
	if sockets, err := listSockets(s.address); err == nil {
		st.Busy, st.Queued = len(sockets.accepted), sockets.queued
	}
	return st
}
