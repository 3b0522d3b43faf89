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
	"sync"
	"sync/atomic"
	"time"

	"mkd/php/internal/process"
)

var (
	// ErrClosed reports that the Server is shut down.
	ErrClosed = errors.New("php-cgi is shut down")
	// ErrStarted reports that the Server was started before.
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
	ctx     context.Context // ends when Shutdown begins
	stop    context.CancelFunc

	listener  *os.File
	identity  *process.Identity // nil: this process's
	spawner   *process.Spawner
	codeCache string        // the folder for compiled scripts; empty: none
	exited    chan struct{} // closed when all processes have ended
	done      chan struct{} // closed when nothing is left

	supervisors sync.WaitGroup // and processes
	watcher     sync.WaitGroup

	started, crashes, lingered atomic.Int64

	mu        sync.Mutex
	state     state
	killing   bool
	processes map[*cgiProcess]struct{}
}

// state is the state of a Server.
type state int

const (
	fresh   state = iota
	running       // from the beginning of Start
	closing
)

// New checks the options and chooses the path of the socket. It makes and starts
// nothing.
func New(opt Options) (*Server, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opt:       opt,
		log:       opt.Logger,
		exited:    make(chan struct{}),
		done:      make(chan struct{}),
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

// Address returns the path of the unix socket. The socket exists from the end of
// Start until Shutdown.
func (s *Server) Address() string { return s.address }

// Shutdown ends the processes once they have served the requests in flight and
// those in the queue; new connections are refused. When the context ends, the
// processes are killed, and Shutdown returns the cause of the context. When
// Shutdown returns, nothing is left: no process, no socket, no folder.
//
// An idle connection that a client keeps occupies its process until the client
// closes it or the context ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.state == fresh {
		close(s.done)
	}
	s.state = closing
	s.mu.Unlock()
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.killAll()
	timer := time.NewTimer(killTimeout)
	defer timer.Stop()
	select {
	case <-s.done:
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("php-cgi was killed and doesn't end: %v", s.Status().Workers)
	}
}

// cleanUp waits for Shutdown and for the processes, and removes what Start made.
func (s *Server) cleanUp() {
	<-s.ctx.Done()
	if s.listener != nil {
		if err := shutdownListener(s.listener); err != nil { // the processes won't notice
			s.log.Error("php-cgi can't be shut down gracefully; it is killed", "error", err)
			s.killAll()
		}
	}
	s.supervisors.Wait()
	close(s.exited)
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
	if s.codeCache != "" {
		if err := os.RemoveAll(s.codeCache); err != nil {
			s.log.Warn("the folder with php-cgi's compiled scripts can't be removed", "error", err)
		}
	}
	close(s.done)
}

// killAll kills all processes, and those that are being started.
func (s *Server) killAll() {
	s.mu.Lock()
	s.killing = true
	processes := s.list()
	s.mu.Unlock()
	for _, p := range processes {
		p.Kill()
	}
}

// list returns the processes, the oldest first. The caller holds the mutex.
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

// Status is the state of a Server.
type Status struct {
	Workers []Worker // the processes, the oldest first

	// Busy is the number of processes that have a connection, and Queued the
	// number of connections that wait for a process. -1: the system doesn't
	// report it.
	Busy, Queued int

	Started  int64 // processes started since Start
	Crashes  int64 // processes that ended by a signal or too early
	Lingered int64 // processes that were killed because they went on without a client
}

// Worker is a process of php-cgi.
type Worker struct {
	PID     int
	Started time.Time
}

// Status returns the current state. It asks the system for its list of unix
// sockets.
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
