// Package share divides what is limited fairly among clients.
//
// A Pool is an amount that all clients use together, such as
// connections or bytes of memory, so that one client cannot take it all.
//
// The rule: a client gets more only if it then holds at most three times what
// was free before. While no more than 75 % of the amount is in use, this refuses
// nobody, however much one client holds: many phones behind one carrier NAT are
// one client here. Beyond 75 % it refuses the client that holds the most first,
// and those that hold little last.
package share

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// perFree is how many times the free part a client may hold. With 3, one
// client alone reaches 3/4 of the whole.
const perFree = 3

// Network returns what counts as one client: an IPv4 address or an IPv6 /64.
// It returns the zero Prefix for an address that is not valid.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// Contains reports whether one of the networks has the address. Zones don't
// matter, and IPv4 is the same whether it is mapped to IPv6 or not.
func Contains(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Pool is an amount that clients use together. It is safe for use by several
// goroutines.
type Pool struct {
	limit     atomic.Int64
	perClient atomic.Int64
	used      atomic.Int64
	exempt    Client

	mu      sync.Mutex
	clients map[netip.Prefix]*Client
}

// NewPool returns a pool of limit units. perClient, if not 0, bounds what each
// client may hold, however much is free.
func NewPool(limit, perClient int64) *Pool {
	p := &Pool{clients: make(map[netip.Prefix]*Client)}
	p.SetLimits(limit, perClient)
	p.exempt.pool = p
	return p
}

// SetLimits changes what NewPool was given. What clients hold already they keep.
func (p *Pool) SetLimits(limit, perClient int64) {
	p.limit.Store(limit)
	p.perClient.Store(perClient)
}

// Limit returns the number of units in the pool.
func (p *Pool) Limit() int64 { return p.limit.Load() }

// InUse returns the number of units that clients hold.
func (p *Pool) InUse() int64 { return p.used.Load() }

// Join returns the client at an address. The caller calls Leave when it needs
// the client no more. The client of an address that is not valid, the zero
// Addr, is exempt: only the pool's limit bounds it. So that is the address to
// give for a trusted proxy, which speaks for many clients.
func (p *Pool) Join(addr netip.Addr) *Client {
	network := Network(addr)
	if !network.IsValid() {
		return &p.exempt
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.clients[network]
	if c == nil {
		c = &Client{pool: p, network: network}
		p.clients[network] = c
	}
	c.joined++
	return c
}

// TakeFor takes n units for the client at an address, see Join, until release is called.
// It reports false if the client didn't get them.
func (p *Pool) TakeFor(addr netip.Addr, n int64) (release func(), ok bool) {
	c := p.Join(addr)
	if !c.Take(n, 0) {
		c.Leave()
		return nil, false
	}
	return func() {
		c.Give(n)
		c.Leave()
	}, true
}

// Clients returns the number of clients that have joined and are not exempt.
func (p *Pool) Clients() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.clients)
}

// Client is one client of a Pool.
type Client struct {
	pool    *Pool
	network netip.Prefix // the zero value: exempt
	held    atomic.Int64
	joined  int // guarded by the pool's mutex
}

// Take takes n units, and reports whether it got them. It leaves the last
// reserve units of the pool untouched: they are for those who ask with a
// smaller reserve. A call that fails never shows in the pool's count, so it
// cannot make another client's call fail. No units are always there.
func (c *Client) Take(n, reserve int64) bool {
	if n == 0 {
		return true
	}
	p := c.pool
	if c.network.IsValid() && !c.hold(n, reserve) {
		return false
	}
	for {
		used := p.used.Load()
		if n > p.limit.Load()-reserve-used {
			break
		}
		if p.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
	if c.network.IsValid() {
		c.held.Add(-n)
	}
	return false
}

// hold adds n to what the client holds, if its share allows that.
func (c *Client) hold(n, reserve int64) bool {
	perClient := c.pool.perClient.Load()
	for {
		held := c.held.Load()
		free := c.pool.limit.Load() - reserve - c.pool.used.Load()
		if held+n > perFree*free || perClient > 0 && held+n > perClient {
			return false
		}
		if c.held.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

// Give gives n units back.
func (c *Client) Give(n int64) {
	c.pool.used.Add(-n)
	if c.network.IsValid() {
		c.held.Add(-n)
	}
}

// Leave ends what Join began. All units must have been given back.
func (c *Client) Leave() {
	if !c.network.IsValid() {
		return
	}
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.joined--; c.joined == 0 {
		delete(c.pool.clients, c.network)
	}
}
