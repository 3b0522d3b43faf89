package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Server serves the admin socket, and what monitoring asks for.
type Server struct {
	// Control is the daemon.
	Control Control
	// Source is the daemon, too.
	Source Source
	// Logger logs the actions. Default: none.
	Logger *slog.Logger

	once     sync.Once
	metrics  *prometheus.Registry
	recorder *recorder
	closed   chan struct{} // closed by Shutdown, which ends streams
	stop     context.CancelFunc

	mu      sync.Mutex
	servers []*http.Server
}

// Scope is what a listener gives access to.
type Scope int

const (
	// Socket has all: the status, the page, and actions.
	Socket Scope = iota
	// ReadOnly has the status and the page, for requests to this machine by its own
	// name.
	ReadOnly
	// Monitoring has /healthz, /readyz and /metrics alone.
	Monitoring
)

func (s *Server) init() {
	s.once.Do(func() {
		if s.Logger == nil {
			s.Logger = slog.New(slog.DiscardHandler)
		}
		s.metrics, s.recorder, s.closed = newRegistry(s.Source), newRecorder(s.Source), make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		s.stop = cancel
		go s.recorder.run(ctx)
	})
}

// Serve serves l until Shutdown, and then returns nil. It may be called with several
// listeners.
func (s *Server) Serve(l net.Listener, scope Scope) error {
	s.init()
	server := &http.Server{
		Handler:           s.handler(scope),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
	}
	if scope != Socket { // which has actions that take long, and no strangers
		server.ReadTimeout, server.WriteTimeout = requestTimeout, requestTimeout
	}
	if !s.add(server) {
		return l.Close()
	}
	if err := server.Serve(l); err != http.ErrServerClosed {
		return fmt.Errorf("admin listener %s: %w", l.Addr(), err)
	}
	return nil
}

// requestTimeout bounds a request by TCP, and its response. Streams have their own.
const requestTimeout = 30 * time.Second

// add adds a server for Shutdown, and reports false after that.
func (s *Server) add(server *http.Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return false
	default:
	}
	s.servers = append(s.servers, server)
	return true
}

// Shutdown stops accepting, ends streams, and lets other requests in flight end
// within ctx. It is called once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.init()
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.closed)
	var errs []error
	for _, server := range s.servers {
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// handler returns the handler of a listener.
func (s *Server) handler(scope Scope) http.Handler {
	mux := http.NewServeMux()
	s.health(mux)
	if scope == Monitoring {
		return http.NewCrossOriginProtection().Handler(mux)
	}
	s.state(mux, scope == Socket)
	if scope == Socket {
		s.actions(mux)
	}
	return localOnly(http.NewCrossOriginProtection().Handler(mux))
}

// actions registers what changes the daemon. It exists only on the unix socket.
func (s *Server) actions(mux *http.ServeMux) {
	s.action(mux, "/reload", func(r *http.Request) (string, error) {
		return "the configuration was reloaded", s.Control.Reload(r.Context())
	})
	s.action(mux, "/upgrade", func(r *http.Request) (string, error) {
		pid, err := s.Control.Upgrade(r.Context())
		return fmt.Sprintf("process %d serves; the old one ends after its last connection", pid), err
	})
	s.action(mux, "/drain", func(*http.Request) (string, error) { return "mkd drains, and then stops", s.Control.Drain() })
	s.action(mux, "/maintenance", func(r *http.Request) (string, error) {
		switch r.FormValue("on") {
		case "true":
			return "maintenance is on: all requests get 503", s.Control.SetMaintenance(true)
		case "false":
			return "maintenance is off", s.Control.SetMaintenance(false)
		}
		return "", errors.New("on must be true or false")
	})
	s.action(mux, "/reopen", func(*http.Request) (string, error) {
		isFile, err := s.Control.Reopen()
		if !isFile {
			return "there is no log file to reopen: mkd logs to standard error", err
		}
		return "the log file was reopened", err
	})
	s.action(mux, "/workers/restart", func(r *http.Request) (string, error) {
		return "all workers were replaced", s.Control.RestartWorkers(r.Context(), r.FormValue("name"))
	})
	mux.HandleFunc("GET /leaks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.Control.Leaks())
	})
}

// action registers what a POST to a path does. Its result is one line for a person.
func (s *Server) action(mux *http.ServeMux, path string, do func(*http.Request) (string, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		began := time.Now()
		done, err := do(r)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err != nil {
			s.Logger.Warn("an action was refused", "action", path, "error", err)
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, err.Error()+"\n")
			return
		}
		s.Logger.Info("an action was done", "action", path, "result", done, "duration", time.Since(began))
		io.WriteString(w, done+"\n")
	})
}
