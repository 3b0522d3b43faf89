package megaki

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mkd/share"
)

// Defaults for the zero fields of a Server and a Config.
const (
	DefaultMaxMessage        = 1 << 20 // bytes of plaintext
	DefaultMaxMessagesPerKey = 16384   // round trips
	DefaultMaxConnections    = 20000
	DefaultSessionTTL        = 24 * time.Hour
	DefaultSessions          = 100000
	DefaultMessageMemory     = 256 << 20 // bytes
	DefaultHandshakeTimeout  = 30 * time.Second
	DefaultMessageTimeout    = 60 * time.Second
	DefaultWriteTimeout      = 60 * time.Second
	DefaultIdleTimeout       = 5 * time.Minute
)

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("megaki: server closed")

// Handler handles the messages of clients. The response is what was written to w
// when ServeMegaki returns nil; it may be empty. An error, or a panic, closes
// the connection without a response.
type Handler interface {
	ServeMegaki(w *ResponseWriter, r *Request) error
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(w *ResponseWriter, r *Request) error

// ServeMegaki calls f.
func (f HandlerFunc) ServeMegaki(w *ResponseWriter, r *Request) error { return f(w, r) }

// Request is a message from a client.
type Request struct {
	// Body is the plaintext, at least one byte. It is valid until the handler
	// returns.
	Body []byte
	// Session is the token of the session.
	Session Token
	// Key is the server key that the session's handshake used.
	Key KeyID
	// Client is the address of the client.
	Client netip.AddrPort
	// Count numbers the messages of a connection from 1.
	Count int

	conn *serverConn
	ctx  *requestContext // nil before the first call of Context
}

// Context returns the request's context. It is canceled when the client closes
// its connection or its own direction of it, when the server is closed without
// waiting, and when the handler returns. The connection is watched from the
// first call of the context's Done on; until then the context costs next to
// nothing. Only the handler's own goroutine may call Context; any may use what
// it returns.
func (r *Request) Context() context.Context {
	if r.conn == nil { // in a test of a handler
		return context.Background()
	}
	if r.ctx == nil {
		r.ctx = newRequestContext(r.conn)
	}
	return r.ctx
}

// Server serves Megaki. The zero value of a field means its default, which is
// the constant of the same name with Default before it; Keys and Handler have
// none. A Server must not be changed once it serves.
type Server struct {
	// Keys are tried in turn. Each is RSA-2048: an *rsa.PrivateKey, or a key in a
	// device whose Decrypt takes *rsa.OAEPOptions.
	Keys []crypto.Decrypter
	// RetiredKeys serve no more: a client that pins one gets CodeBlacklisted, and
	// sessions that began with one can't be resumed. They are tried after Keys.
	RetiredKeys []crypto.Decrypter
	Handler     Handler

	MaxMessage        int // bytes of plaintext, both ways; at most MaxMessageLimit
	MaxMessagesPerKey int // round trips; then the connection is closed after a response
	MaxConnections    int // at once, one of them for each listener's next; more wait to be accepted

	HandshakeTimeout time.Duration // absolute, from accept to ACK-ACK
	MessageTimeout   time.Duration // from a message's first byte to its last
	WriteTimeout     time.Duration // of a response; it may be up to an eighth more
	IdleTimeout      time.Duration // between a response and the next message

	Sessions   SessionStore  // default: a MemoryStore of DefaultSessions
	SessionTTL time.Duration // absolute, from the handshake

	Memory *Memory // for message buffers; default: of DefaultMessageMemory

	// TrustedProxies are the networks of proxies that speak for many clients. Their
	// connections are exempt from the shares of clients: in Memory, in the evictions
	// of a MemoryStore, and from AllowHandshake.
	TrustedProxies []netip.Prefix

	// AllowHandshake, if set, is called before the RSA work of a handshake, and
	// reports whether to do it.
	AllowHandshake func(client netip.Addr) bool

	// OnHandshake, if set, is called for each handshake that is complete, and for
	// each that is refused because its key is retired. It must not wait.
	OnHandshake func(Handshake)

	// Logger logs why connections ended: at level debug if that was normal, at
	// level info if it was the peer's fault, at warn and error if it was a fault
	// here. Default: nothing is logged.
	Logger *slog.Logger

	once      sync.Once
	initErr   error
	keys      []*serverKey
	sessions  SessionStore
	toucher   Toucher // nil if sessions is none
	memory    *Memory
	slots     *slots
	connSlots chan struct{} // one for each connection
	stats     serverStats
	storing   *share.Pool // see maxStoring
	promoting sync.WaitGroup
	ctx       context.Context
	cancel    context.CancelFunc

	// What a test may set.
	decrypt decryptFunc
	verify  verifyFunc
	random  func([]byte)  // draws the server's part of keys
	rest    time.Duration // restAfter if 0

	lot       lot // where connections rest
	draining  atomic.Bool
	closed    atomic.Bool
	mu        sync.Mutex
	listeners map[*net.Listener]struct{} // not every type of listener can be a key
	conns     map[*serverConn]struct{}
	empty     chan struct{} // closed when the last connection ends after closed
}

func (s *Server) maxMessage() int { return cmp.Or(s.MaxMessage, DefaultMaxMessage) }
func (s *Server) maxMessagesPerKey() int {
	return cmp.Or(s.MaxMessagesPerKey, DefaultMaxMessagesPerKey)
}
func (s *Server) maxConnections() int { return cmp.Or(s.MaxConnections, DefaultMaxConnections) }
func (s *Server) handshakeTimeout() time.Duration {
	return cmp.Or(s.HandshakeTimeout, DefaultHandshakeTimeout)
}
func (s *Server) messageTimeout() time.Duration {
	return cmp.Or(s.MessageTimeout, DefaultMessageTimeout)
}
func (s *Server) writeTimeout() time.Duration { return cmp.Or(s.WriteTimeout, DefaultWriteTimeout) }
func (s *Server) idleTimeout() time.Duration  { return cmp.Or(s.IdleTimeout, DefaultIdleTimeout) }
func (s *Server) restAfter() time.Duration    { return cmp.Or(s.rest, restAfter) }
func (s *Server) sessionTTL() time.Duration   { return cmp.Or(s.SessionTTL, DefaultSessionTTL) }

// counted returns the address for which a client's shares count: none for a trusted proxy.
func (s *Server) counted(client netip.Addr) netip.Addr {
	if share.Contains(s.TrustedProxies, client) {
		return netip.Addr{}
	}
	return client
}

func (s *Server) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Server) init() error {
	s.once.Do(func() {
		if s.Handler == nil {
			s.initErr = errors.New("megaki: a Server needs Keys and a Handler")
			return
		}
		if s.keys, s.initErr = newServerKeys(s.Keys, s.RetiredKeys); s.initErr != nil {
			return
		}
		if min(s.MaxMessage, s.MaxMessagesPerKey, s.MaxConnections) < 0 ||
			min(s.HandshakeTimeout, s.MessageTimeout, s.WriteTimeout, s.IdleTimeout, s.SessionTTL) < 0 {
			s.initErr = errors.New("megaki: a limit of a Server is negative")
			return
		}
		if s.maxMessage() > MaxMessageLimit {
			s.initErr = &TooLongError{Length: int64(s.maxMessage()), Limit: MaxMessageLimit}
			return
		}
		if s.sessions = s.Sessions; s.sessions == nil {
			s.sessions = NewMemoryStore(DefaultSessions)
		}
		s.toucher, _ = s.sessions.(Toucher)
		if s.memory = s.Memory; s.memory == nil {
			s.memory = NewMemory(DefaultMessageMemory)
		}
		if s.decrypt == nil {
			s.decrypt = decryptOAEP
		}
		if s.verify == nil {
			s.verify = verifyUnder
		}
		if s.random == nil {
			s.random = func(p []byte) { rand.Read(p) }
		}
		s.slots = newSlots()
		s.connSlots = make(chan struct{}, s.maxConnections())
		s.storing = share.NewPool(maxStoring, 0)
		s.ctx, s.cancel = context.WithCancel(context.Background())
		s.listeners = make(map[*net.Listener]struct{})
		s.empty = make(chan struct{})
		s.mu.Lock() // Connections may be called before Serve
		s.conns = make(map[*serverConn]struct{})
		s.mu.Unlock()
	})
	return s.initErr
}

// Check returns what is wrong with the fields of the server. Serve checks them too.
func (s *Server) Check() error { return s.init() }

// ServeConn serves a connection that its caller has accepted, and closes it. It
// returns after the handshake, and calls done when the connection has ended. Such
// connections don't count for MaxConnections. After Shutdown it closes the
// connection at once.
func (s *Server) ServeConn(conn net.Conn, done func()) {
	if err := s.init(); err != nil {
		s.log().Error("can't serve connections", "error", err)
		conn.Close()
		done()
		return
	}
	c := newServerConn(s, conn)
	c.done = done
	if !s.track(c) {
		conn.Close()
		done()
		return
	}
	c.serve()
}

// Serve accepts connections until the listener fails, or Shutdown or Close is
// called, and then returns ErrServerClosed. It closes the listener. It may be
// called with several listeners.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if err := s.init(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return ErrServerClosed
	}
	s.listeners[&l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, &l)
		s.mu.Unlock()
	}()

	var delay time.Duration
	for {
		select { // a slot is reserved before a connection is accepted
		case s.connSlots <- struct{}{}:
		case <-s.ctx.Done():
			return ErrServerClosed
		}
		conn, err := l.Accept()
		if err != nil {
			<-s.connSlots
			if s.closed.Load() {
				return ErrServerClosed
			}
			var temporary interface{ Temporary() bool }
			if !errors.As(err, &temporary) || !temporary.Temporary() {
				return err
			}
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			s.log().Error("can't accept connections; trying again", "error", err, "delay", delay)
			select {
			case <-time.After(delay):
			case <-s.ctx.Done():
			}
			continue
		}
		delay = 0
		c := newServerConn(s, conn)
		c.done = func() { <-s.connSlots }
		if !s.track(c) {
			conn.Close()
			c.done()
			return ErrServerClosed
		}
		go c.serve()
	}
}

func (s *Server) track(c *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) untrack(c *serverConn) {
	defer c.done()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.closed.Load() && len(s.conns) == 0 {
		close(s.empty)
	}
}

// Connections returns the number of open connections. It may be called at any time.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Drain ends each connection after its next response. Idle ones stay open until
// Shutdown: a client whose connection closes while it sends has failed, but one that
// sees the end of its connection after a response resumes elsewhere. The caller has
// stopped accepting connections before.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops accepting, closes the connections that have no message in
// flight, and waits for the responses of the others. When ctx ends first, it
// closes those as well, cancels the requests' contexts, waits until the handlers
// have returned, and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.init(); err != nil {
		return err
	}
	s.mu.Lock()
	if !s.closed.Swap(true) && len(s.conns) == 0 {
		close(s.empty)
	}
	for l := range s.listeners {
		(*l).Close()
	}
	for c := range s.conns {
		c.closeIfIdle()
		s.lot.wake(c)
	}
	s.mu.Unlock()

	defer s.promoting.Wait()
	defer s.lot.close()
	defer s.cancel()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	// First the connections: a handler that returns because its context has ended
	// has no response, and none may be sent for it.
	s.mu.Lock()
	for c := range s.conns {
		c.state.Store(connClosed)
		c.socket.close()
		s.lot.wake(c)
	}
	s.mu.Unlock()
	s.cancel()
	<-s.empty // handlers see their context's end
	return context.Cause(ctx)
}

// Close closes all connections at once, and waits until the handlers have
// returned.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
