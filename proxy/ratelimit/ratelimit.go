// Package ratelimit bounds how often something may happen for each of many keys.
package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit allows each key a rate of events. It remembers a bounded number of keys.
// When that is reached, it forgets the keys that have their whole burst again,
// and if there are none, a few others: a flood of new keys frees few old ones.
type Limit[K comparable] struct {
	rate  rate.Limit
	burst int

	mu       sync.Mutex
	limiters map[K]*rate.Limiter
}

const maxLimited = 1 << 16 // keys

// New returns a limit of events a second on average, with bursts of at least 1.
func New[K comparable](perSecond float64, burst int) *Limit[K] {
	return &Limit[K]{rate: rate.Limit(perSecond), burst: max(1, burst), limiters: make(map[K]*rate.Limiter)}
}

// Take counts an event, and returns 0. If the event is one too many, it isn't
// counted, and the result is when the next one will be allowed.
func (l *Limit[K]) Take(key K) time.Duration {
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

func (l *Limit[K]) forget() {
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
