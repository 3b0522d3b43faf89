package proxy

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// addressLimit allows each client address a rate of events. It remembers a
// bounded number of addresses: when it is full, those that have their whole
// burst again are forgotten, and if none has, all are.
type addressLimit struct {
	rate  rate.Limit
	burst int

	mu       sync.Mutex
	limiters map[netip.Prefix]*rate.Limiter
}

const maxLimited = 1 << 16 // addresses

func newAddressLimit(perSecond float64, burst int) *addressLimit {
	return &addressLimit{rate: rate.Limit(perSecond), burst: max(1, burst), limiters: make(map[netip.Prefix]*rate.Limiter)}
}

// allow counts an event of a client: an IPv4 address, or an IPv6 /64.
func (l *addressLimit) allow(client netip.Addr) bool {
	bits := 32
	if client.Is6() {
		bits = 64
	}
	key, _ := client.WithZone("").Prefix(bits)
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
	return lim.Allow()
}

func (l *addressLimit) forget() {
	now := time.Now()
	for key, lim := range l.limiters {
		if lim.TokensAt(now) >= float64(l.burst) {
			delete(l.limiters, key)
		}
	}
	if len(l.limiters) >= maxLimited {
		clear(l.limiters)
	}
}
