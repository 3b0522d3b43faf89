package http1

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"mkd/proxy/httpmsg"
)

// Defaults of the fields of a Server that are zero.
const (
	DefaultHeaderTimeout = 10 * time.Second
	DefaultBodyTimeout   = 60 * time.Second
	DefaultWriteTimeout  = 60 * time.Second
	DefaultIdleTimeout   = 2 * time.Minute
)

// Handler handles the requests of one connection, one after the other.
type Handler interface {
	// ServeHTTP1 responds to a request. If refused is not nil, the request is
	// malformed or too large, r has only what could be read of it, and the
	// response should show that; the connection is closed after it.
	//
	// An error means that the response can't be completed: the connection is
	// closed at once.
	//
	// The request, its header, its context and the response are valid until
	// ServeHTTP1 returns.
	ServeHTTP1(w *Response, r *http.Request, refused error) error

	// Context returns the context of the next request, which must be derived
	// from parent. parent ends when the client leaves while the request is being
	// handled, and when ServeHTTP1 returns. It is that of the last request if
	// nobody has waited for that one's end.
	Context(parent context.Context) context.Context

	// TakeMemory is called before the head of a request takes n bytes more than the
	// buffer that each connection has. If it reports false, the request is refused.
	TakeMemory(n int64) bool
	// GiveMemory is called when n bytes of it are released.
	GiveMemory(n int64)

	// Close is called once, after the last request.
	Close()
}

// Server serves HTTP/1 connections that its caller has accepted. Its fields must not change once it is used.
type Server struct {
	// NewHandler returns the handler of a connection. It is called on the
	// connection's goroutine.
	NewHandler func(c net.Conn) Handler

	// BaseContext is the parent of all contexts. Default: context.Background().
	BaseContext context.Context

	HeaderTimeout time.Duration // from a request's first byte to its head's end; of a new connection, from its start
	BodyTimeout   time.Duration // how long a request's body may stand still
	WriteTimeout  time.Duration // how long the client may take no byte of a response
	IdleTimeout   time.Duration // between a response and the next request

	// MinRate is how many bytes a second of a body must arrive on average,
	// once BodyTimeout has passed. 0: any.
	MinRate int64

	// AltSvc returns the value of Alt-Svc in responses (RFC 7838), whatever the handler
	// has there, unless ChangeHeader changes it; nil: it stays as it is. Default: it does.
	AltSvc func() []string

	// Limits bound the head of a request.
	Limits httpmsg.Limits

	// Logger gets what clients do wrong, at level debug. Default: nothing.
	Logger *slog.Logger

	closing  atomic.Bool // each connection closes after its next response
	draining atomic.Bool
	active   sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// ServeConn serves a connection and closes it. A *tls.Conn must have done its
// handshake. After Shutdown it closes the connection at once.
func (s *Server) ServeConn(nc net.Conn) {
	c := newConn(s, nc)
	if !s.track(c) {
		nc.Close()
		return
	}
	defer s.untrack(c)
	c.serve()
}

func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	if s.conns == nil {
		s.conns = make(map[*conn]struct{})
	}
	s.conns[c] = struct{}{}
	s.active.Add(1)
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.active.Done()
}

// Drain closes each connection after its next response, which announces it. Idle ones
// stay open until Shutdown: a client may be about to send. The caller has stopped
// accepting connections before.
func (s *Server) Drain() { s.closing.Store(true) }

// Shutdown closes idle connections, and lets requests in flight end within ctx:
// their responses say that the connection closes. What is left when ctx ends is
// closed, and Shutdown returns the error of ctx. A client that still sends the body
// of a request that has its response is waited for a moment, see LingerTime. The
// caller has stopped accepting connections before.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.active.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.Close()
	<-done
	return ctx.Err()
}

// Close closes all connections at once. It doesn't wait for handlers.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	for c := range s.conns {
		c.abort()
	}
}

func (s *Server) base() context.Context {
	if s.BaseContext == nil {
		return context.Background()
	}
	return s.BaseContext
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Server) headerTimeout() time.Duration { return cmp.Or(s.HeaderTimeout, DefaultHeaderTimeout) }
func (s *Server) bodyTimeout() time.Duration   { return cmp.Or(s.BodyTimeout, DefaultBodyTimeout) }
func (s *Server) writeTimeout() time.Duration  { return cmp.Or(s.WriteTimeout, DefaultWriteTimeout) }
func (s *Server) idleTimeout() time.Duration   { return cmp.Or(s.IdleTimeout, DefaultIdleTimeout) }
