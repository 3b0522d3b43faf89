package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server serves the admin socket.
type Server struct {
	// Control is the daemon.
	Control Control
	// Logger logs the actions. Default: none.
	Logger *slog.Logger

	http http.Server
}

// Serve serves l until Shutdown, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.http.Handler = http.NewCrossOriginProtection().Handler(s.socket())
	s.http.ReadHeaderTimeout = 10 * time.Second
	s.http.IdleTimeout = time.Minute
	s.http.MaxHeaderBytes = 16 << 10
	s.http.ErrorLog = slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug)
	if err := s.http.Serve(l); err != http.ErrServerClosed {
		return fmt.Errorf("admin socket: %w", err)
	}
	return nil
}

// Shutdown stops accepting, and lets requests in flight end within ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}

// socket returns the handler of the unix socket. Actions exist only here.
func (s *Server) socket() http.Handler {
	mux := http.NewServeMux()
	s.action(mux, "/reload", func(r *http.Request) (string, error) {
		return "the configuration was reloaded", s.Control.Reload(r.Context())
	})
	s.action(mux, "/drain", func(*http.Request) (string, error) { return "mkd drains, and then stops", s.Control.Drain() })
	s.action(mux, "/reopen", func(*http.Request) (string, error) { return "the log file was reopened", s.Control.Reopen() })
	s.action(mux, "/workers/restart", func(r *http.Request) (string, error) {
		return "all workers were replaced", s.Control.RestartWorkers(r.Context(), r.FormValue("name"))
	})
	mux.HandleFunc("GET /leaks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.Control.Leaks())
	})
	return mux
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
