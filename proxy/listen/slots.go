package listen

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"mkd/share"
)

// errShare is the error of a connection whose client, named by a PROXY header,
// has too many connections already.
var errShare = errors.New("this client has its share of max_connections, or max_connections_per_ip, already")

// slots are the connections that may be open at once.
type slots struct {
	pool *share.Pool
	log  *slog.Logger

	mu      sync.Mutex
	limit   int // of connections; 0: any number
	used    int // connections, and the next one that is awaited
	exempt  []netip.Prefix
	refused int       // since the last log line
	total   uint64    // refused since the start
	logged  time.Time // when that was

	freed chan struct{} // has an element if a slot may be free
}

// unlimited is the pool's limit where only the connections of each client are
// bounded.
const unlimited = 1 << 40

func newSlots(o *Options, log *slog.Logger) *slots {
	s := &slots{pool: share.NewPool(unlimited, 0), log: log, freed: make(chan struct{}, 1)}
	s.configure(o)
	return s
}

// configure changes the bounds. Open connections count, whatever they are.
func (s *slots) configure(o *Options) {
	limit := int64(unlimited)
	if o.MaxConnections > 0 {
		limit = int64(o.MaxConnections)
	}
	s.pool.SetLimits(limit, int64(o.MaxConnectionsPerIP))
	s.mu.Lock()
	s.limit, s.exempt = o.MaxConnections, o.Exempt
	s.mu.Unlock()
	s.wake()
}

// reserve waits for a slot until the listener is closed, and reports whether
// it got one. One goroutine at a time may wait.
func (s *slots) reserve(closed <-chan struct{}) bool {
	for {
		if s.tryReserve() {
			return true
		}
		select {
		case <-s.freed:
		case <-closed:
			return false
		}
	}
}

// tryReserve reserves a slot if one is free.
func (s *slots) tryReserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := s.limit == 0 || s.used < s.limit
	if free {
		s.used++
	}
	return free
}

// free gives a reserved slot back.
func (s *slots) free() {
	s.mu.Lock()
	s.used--
	s.mu.Unlock()
	s.wake()
}

func (s *slots) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// take gives a reserved slot to a connection from addr: the zero Addr for that
// of a proxy, whose client is not known yet. It returns nil if the client has
// its share already.
func (s *slots) take(addr netip.Addr) *slot {
	c := s.join(addr)
	if !c.Take(1, 0) {
		c.Leave()
		s.refuse(addr)
		return nil
	}
	return &slot{slots: s, client: c}
}

// join returns the client at addr, which is exempt if addr is that of a trusted
// proxy.
func (s *slots) join(addr netip.Addr) *share.Client {
	s.mu.Lock()
	exempt := s.exempt
	s.mu.Unlock()
	if share.Contains(exempt, addr) {
		addr = netip.Addr{}
	}
	return s.pool.Join(addr)
}

// refuse logs a connection that is refused: a line in ten seconds at most, for
// in a flood there are many.
func (s *slots) refuse(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	s.total++
	if time.Since(s.logged) < 10*time.Second {
		return
	}
	s.log.Warn("connections are refused: their client has its share of max_connections, or max_connections_per_ip, already",
		"client", addr, "refused", s.refused, "open", s.pool.InUse())
	s.refused, s.logged = 0, time.Now()
}

// slot is what one open connection takes.
type slot struct {
	slots *slots

	mu     sync.Mutex
	client *share.Client // nil: it was refused, or is closed
	closed bool
}

// move counts the connection of a proxy for its client. It reports whether the
// client may have it.
func (s *slot) move(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true // reading fails anyway
	}
	s.client.Give(1)
	s.client.Leave()
	s.client = s.slots.join(addr)
	if s.client.Take(1, 0) {
		return true
	}
	s.client.Leave()
	s.client = nil
	s.slots.refuse(addr)
	return false
}

// release frees the slot. It is called once.
func (s *slot) release() {
	s.mu.Lock()
	if s.client != nil {
		s.client.Give(1)
		s.client.Leave()
	}
	s.client, s.closed = nil, true
	s.mu.Unlock()
	s.slots.free()
}

// peer returns the address of a connection's other end.
func peer(tcp *net.TCPConn) netip.Addr {
	if a, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}

// Status returns how many connections are open, and how many were refused. It counts
// them only if there is a bound.
func (l *Listener) Status() (open int, refused uint64) {
	s := l.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.pool.InUse()), s.total
}
