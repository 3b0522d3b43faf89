package roundtrip

import (
	"slices"
	"sync"
	"time"
)

// Idle has the connections to a server that are kept and not in use. The zero value is
// ready.
type Idle[C Conn] struct {
	mu      sync.Mutex
	kept    []Kept[C]   // the one used last is the last
	sweeper *time.Timer // closes those that are due
	sweepAt time.Time   // when sweeper runs next; zero: it doesn't
}

// Conn is a connection that can be kept.
type Conn interface {
	// Discard closes a connection that isn't in use.
	Discard()
}

// Kept is an idle connection.
type Kept[C Conn] struct {
	Conn  C
	Since time.Time // when it became idle
	Until time.Time // when it is closed
}

// Len returns the number of connections.
func (p *Idle[C]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.kept)
}

// Take returns the connection that was used last, or, if oldest is set, the one that has
// been idle the longest. It reports false if there is none.
func (p *Idle[C]) Take(now time.Time, oldest bool) (k Kept[C], ok bool) {
	for {
		p.mu.Lock()
		n := len(p.kept)
		if n == 0 {
			p.mu.Unlock()
			return Kept[C]{}, false
		}
		i := n - 1
		if oldest {
			i = 0
		}
		k = p.kept[i]
		p.kept = slices.Delete(p.kept, i, i+1)
		p.mu.Unlock()
		if now.Before(k.Until) {
			return k, true
		}
		k.Conn.Discard()
	}
}

// Put keeps a connection. If there are as many as most then, it discards the one that has
// been idle the longest; most is 1 at least.
func (p *Idle[C]) Put(k Kept[C], most int) {
	var surplus []Kept[C]
	p.mu.Lock()
	if n := len(p.kept); n >= most {
		surplus = slices.Clone(p.kept[:n-most+1])
		p.kept = slices.Delete(p.kept, 0, n-most+1)
	}
	p.kept = append(p.kept, k)
	if p.sweepAt.IsZero() || k.Until.Before(p.sweepAt) {
		p.sweepIn(k.Since, k.Until.Sub(k.Since))
	}
	p.mu.Unlock()
	discard(surplus)
}

// sweepIn starts the timer of sweep. One timer serves all idle connections, and
// isn't touched when a connection is taken and given back: it runs when the one
// that was due first would have been, and is set anew for those that are left.
func (p *Idle[C]) sweepIn(now time.Time, wait time.Duration) {
	wait = max(wait, 100*time.Millisecond)
	p.sweepAt = now.Add(wait)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(wait, p.sweep)
	} else {
		p.sweeper.Reset(wait)
	}
}

// sweep discards the connections that are due.
func (p *Idle[C]) sweep() {
	now := time.Now()
	var next time.Time
	p.mu.Lock()
	due := p.remove(func(k Kept[C]) bool {
		if !now.Before(k.Until) {
			return true
		}
		if next.IsZero() || k.Until.Before(next) {
			next = k.Until
		}
		return false
	})
	p.sweepAt = time.Time{}
	if !next.IsZero() {
		p.sweepIn(now, next.Sub(now))
	}
	p.mu.Unlock()
	discard(due)
}

// Discard discards the connections that f reports true for.
func (p *Idle[C]) Discard(f func(C) bool) {
	p.mu.Lock()
	removed := p.remove(func(k Kept[C]) bool { return f(k.Conn) })
	p.mu.Unlock()
	discard(removed)
}

// remove removes the connections that f reports true for, and returns them. p.mu is held.
func (p *Idle[C]) remove(f func(Kept[C]) bool) (removed []Kept[C]) {
	p.kept = slices.DeleteFunc(p.kept, func(k Kept[C]) bool {
		if !f(k) {
			return false
		}
		removed = append(removed, k)
		return true
	})
	return removed
}

func discard[C Conn](list []Kept[C]) {
	for _, k := range list {
		k.Conn.Discard()
	}
}
