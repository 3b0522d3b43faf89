package listener

import (
	"net/netip"
	"sync/atomic"

	"mkd/config"
	"mkd/proxy/ratelimit"
	"mkd/share"
)

// shared is what all settings of a listener count together.
type shared struct {
	requests   *share.Pool // in flight, of HTTP and HTTPS listeners
	handshakes atomic.Pointer[handshakeLimit]
	http3      atomic.Pointer[[]string] // the field Alt-Svc while HTTP/3 is served; nil: it isn't
}

// altSvc returns the field Alt-Svc that announces HTTP/3, nil while it isn't served.
func (s *shared) altSvc() []string {
	if v := s.http3.Load(); v != nil {
		return *v
	}
	return nil
}

// handshakeLimit is a limit of handshakes for each client.
type handshakeLimit struct {
	config.HandshakesPerIP
	limit *ratelimit.Limit[netip.Prefix] // nil: none
}

func newShared() *shared { return &shared{requests: share.NewPool(0, 0)} }

// configure moves the limits. What clients have used of them stays counted.
func (s *shared) configure(c *config.Listener) {
	if w := c.Web(); w != nil {
		s.requests.SetLimits(int64(w.MaxRequests), 0)
		return
	}
	next := &handshakeLimit{HandshakesPerIP: c.Megaki.HandshakesPerIP}
	if old := s.handshakes.Load(); old != nil && old.HandshakesPerIP == next.HandshakesPerIP {
		return
	}
	if next.Rate > 0 {
		next.limit = ratelimit.New[netip.Prefix](next.Rate, next.Burst)
	}
	s.handshakes.Store(next)
}

// allowHandshake counts a handshake, and reports whether the client may have it.
func (s *shared) allowHandshake(client netip.Addr) bool {
	l := s.handshakes.Load()
	return l == nil || l.limit == nil || l.limit.Take(share.Network(client)) == 0
}
