package proxy

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mkd/config"
	"mkd/megaki"
	"mkd/share"
)

// keyedLimit allows each key a rate of events. It remembers a bounded number of
// keys: when it is full, those that have their whole burst again are forgotten,
// and if none has, a few are, whichever: a flood of new keys sets few others
// free.
type keyedLimit[K comparable] struct {
	rate  rate.Limit
	burst int

	mu       sync.Mutex
	limiters map[K]*rate.Limiter
}

const maxLimited = 1 << 16 // keys

func newKeyedLimit[K comparable](perSecond float64, burst int) *keyedLimit[K] {
	return &keyedLimit[K]{rate: rate.Limit(perSecond), burst: max(1, burst), limiters: make(map[K]*rate.Limiter)}
}

// take counts an event. If it is one too many it isn't counted, and the result
// is when the next will be allowed.
func (l *keyedLimit[K]) take(key K) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.limiters[key]
	if lim == nil {
		if len(l.limiters) >= maxLimited {
			l.forget()
		}
		lim = rate.NewLimiter(l.rate, l.burst)
		l.limiters[key] = lim
	}
	now := time.Now()
	if lim.AllowN(now, 1) {
		return 0
	}
	missing := 1 - lim.TokensAt(now)
	return max(time.Duration(missing/float64(l.rate)*float64(time.Second)), time.Millisecond)
}

func (l *keyedLimit[K]) forget() {
	now := time.Now()
	for key, lim := range l.limiters {
		if lim.TokensAt(now) >= float64(l.burst) {
			delete(l.limiters, key)
		}
	}
	for key := range l.limiters {
		if len(l.limiters) <= maxLimited-maxLimited/64 {
			break
		}
		delete(l.limiters, key)
	}
}

// rateLimit is the rate_limit of a route.
type rateLimit struct {
	by string
	*keyedLimit[limitKey]
}

// limitKey is who shares a limit.
type limitKey struct {
	network netip.Prefix
	session megaki.Token
}

func newRateLimit(c *config.RateLimit) *rateLimit {
	return &rateLimit{c.By, newKeyedLimit[limitKey](c.Rate, c.Burst)}
}

// take counts a request, and returns how long the client has to wait if it is
// one too many.
func (l *rateLimit) take(x *exchange) time.Duration {
	var key limitKey
	switch {
	case l.by == "all":
	case l.by == "session" && x.session != nil:
		key.session = *x.session
	default:
		key.network = share.Network(x.client.Addr())
	}
	return l.keyedLimit.take(key)
}

// newHandshakeLimit returns what a Megaki server asks before a handshake.
func newHandshakeLimit(c config.HandshakesPerIP) func(netip.Addr) bool {
	limit := newKeyedLimit[netip.Prefix](c.Rate, c.Burst)
	return func(client netip.Addr) bool { return limit.take(share.Network(client)) == 0 }
}
