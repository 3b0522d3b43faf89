package auth

import (
	"net/netip"
	"sync"
	"time"
)

const (
	maxFailures = 10              // at once, of an address
	failureRate = 5 * time.Second // until one of them is forgotten
	maxRemember = 1 << 16         // addresses
)

// failures counts the attempts of addresses that failed. It remembers a bounded number
// of addresses. When that is reached, it forgets those that have all their attempts
// again, and if there are none, a few others.
type failures struct {
	mu    sync.Mutex
	known map[netip.Prefix]*failed
}

// failed is how many attempts an address has used, at a time.
type failed struct {
	used float64
	at   time.Time
}

func (f *failed) advance(now time.Time) {
	f.used = max(0, f.used-float64(now.Sub(f.at))/float64(failureRate))
	f.at = now
}

// take uses an attempt, and returns 0. If none is left, the result is when the next one
// will be allowed. Attempts are used before they are known to fail, so that many at once
// are no more than one after the other.
func (f *failures) take(client netip.Prefix, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = make(map[netip.Prefix]*failed)
	}
	e := f.known[client]
	if e == nil {
		if len(f.known) >= maxRemember {
			f.forget(now)
		}
		e = &failed{at: now}
		f.known[client] = e
	}
	e.advance(now)
	if over := e.used + 1 - maxFailures; over > 0 {
		return max(time.Duration(over*float64(failureRate)), time.Millisecond)
	}
	e.used++
	return 0
}

// giveBack takes back an attempt, which didn't fail.
func (f *failures) giveBack(client netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.known[client]; e != nil {
		if e.used = max(0, e.used-1); e.used == 0 {
			delete(f.known, client)
		}
	}
}

func (f *failures) forget(now time.Time) {
	for client, e := range f.known {
		if e.advance(now); e.used == 0 {
			delete(f.known, client)
		}
	}
	for client := range f.known {
		if len(f.known) <= maxRemember-maxRemember/64 {
			break
		}
		delete(f.known, client)
	}
}
