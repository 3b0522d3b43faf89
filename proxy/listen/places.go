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

// places are the connections that may be open at once.
type places struct {
	all    chan struct{} // one for each connection; nil: any number
	pool   *share.Pool
	exempt []netip.Prefix
	log    *slog.Logger

	mu      sync.Mutex
	refused int       // since the last log line
	logged  time.Time // when that was
}

// unlimited is the pool's limit where only the connections of each client are
// bounded.
const unlimited = 1 << 40

func newPlaces(o *Options, log *slog.Logger) *places {
	p := &places{log: log}
	for _, n := range o.Exempt {
		p.exempt = append(p.exempt, unmap(n))
	}
	limit := int64(unlimited)
	if o.MaxConnections > 0 {
		p.all = make(chan struct{}, o.MaxConnections)
		limit = int64(o.MaxConnections)
	}
	p.pool = share.NewPool(limit, int64(o.MaxConnectionsPerIP))
	return p
}

// reserve waits for a place until the listener is closed, and reports whether
// it got one.
func (p *places) reserve(closed <-chan struct{}) bool {
	if p == nil || p.all == nil {
		return true
	}
	select {
	case p.all <- struct{}{}:
		return true
	case <-closed:
		return false
	}
}

// free gives a reserved place back.
func (p *places) free() {
	if p != nil && p.all != nil {
		<-p.all
	}
}

// take gives a reserved place to a connection from addr: the zero Addr for that
// of a proxy, whose client is not known yet. It returns nil if the client has
// its share already.
func (p *places) take(addr netip.Addr) *place {
	c := p.join(addr)
	if !c.Take(1, 0) {
		c.Leave()
		p.refuse(addr)
		return nil
	}
	return &place{places: p, client: c}
}

// join returns the client at addr, which is exempt if addr is that of a trusted
// proxy.
func (p *places) join(addr netip.Addr) *share.Client {
	if contains(p.exempt, addr) {
		addr = netip.Addr{}
	}
	return p.pool.Join(addr)
}

// refuse logs a connection that is refused: a line in ten seconds at most, for
// in a flood there are many.
func (p *places) refuse(addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused++
	if time.Since(p.logged) < 10*time.Second {
		return
	}
	p.log.Warn("connections are refused: their client has its share of max_connections, or max_connections_per_ip, already",
		"client", addr, "refused", p.refused, "open", p.pool.InUse())
	p.refused, p.logged = 0, time.Now()
}

// place is what one open connection takes.
type place struct {
	places *places

	mu     sync.Mutex
	client *share.Client // nil: it was refused, or is closed
	closed bool
}

// move counts the connection of a proxy for its client. It reports whether the
// client may have it.
func (p *place) move(addr netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return true // reading fails anyway
	}
	p.client.Give(1)
	p.client.Leave()
	p.client = p.places.join(addr)
	if p.client.Take(1, 0) {
		return true
	}
	p.client.Leave()
	p.client = nil
	p.places.refuse(addr)
	return false
}

// release frees the place. It is called once.
func (p *place) release() {
	p.mu.Lock()
	if p.client != nil {
		p.client.Give(1)
		p.client.Leave()
	}
	p.client, p.closed = nil, true
	p.mu.Unlock()
	p.places.free()
}

// contains reports whether one of the networks has the address. No prefix
// contains an address with a zone, such as fe80::1%eth0.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// peer returns the address of a connection's other end.
func peer(tcp *net.TCPConn) netip.Addr {
	if a, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr()
	}
	return netip.Addr{}
}
