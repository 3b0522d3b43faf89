package upstream

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mkd/proxy/roundtrip"
)

// maxAge is how long a connection is kept, so that names are resolved anew.
const maxAge = 5 * time.Minute

// acquire waits until one more connection may be in use.
func (t *Transport) acquire(rt *roundTrip) error {
	if t.MaxConnections <= 0 {
		return nil
	}
	t.mu.Lock()
	if t.inUse < t.MaxConnections {
		t.inUse++
		t.mu.Unlock()
		return nil
	}
	if len(t.waiters) >= max(0, cmp.Or(t.Queue, DefaultQueue)) {
		t.mu.Unlock()
		return ErrQueueFull
	}
	turn := make(chan struct{})
	t.waiters = append(t.waiters, turn)
	t.mu.Unlock()
	err := t.await(turn, rt)
	if err == nil || t.leave(turn) {
		return err
	}
	// The turn came at the same moment. It is as good as any.
	return nil
}

// await waits for turn to be closed. Most waits are short, so that the context
// is watched only in a long one.
func (t *Transport) await(turn chan struct{}, rt *roundTrip) error {
	ctx := rt.r.Context()
	var until time.Time
	if wait := roundtrip.Timeout(t.QueueTimeout, DefaultQueueTimeout); wait > 0 {
		until = time.Now().Add(wait)
	}
	timer := time.NewTimer(roundtrip.Patience)
	defer timer.Stop()
	var ended <-chan struct{}
	if !until.IsZero() {
		timer.Reset(min(roundtrip.Patience, time.Until(until)))
	}
	for {
		select {
		case <-turn:
			return nil
		case <-ended:
			return context.Cause(ctx)
		case <-timer.C:
		}
		if !until.IsZero() && !time.Now().Before(until) {
			return ErrQueueTimeout
		}
		ended = ctx.Done()
		if !until.IsZero() {
			timer.Reset(time.Until(until))
		}
	}
}

// leave gives up waiting. It reports false if the turn had come.
func (t *Transport) leave(turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiters, turn)
	if i < 0 {
		return false
	}
	t.waiters = slices.Delete(t.waiters, i, i+1)
	return true
}

// release lets the next request have a connection.
func (t *Transport) release() {
	if t.MaxConnections <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) == 0 {
		t.inUse--
		return
	}
	close(t.waiters[0])
	t.waiters = slices.Delete(t.waiters, 0, 1)
}

// kept returns an idle connection that can be used, or nil.
func (t *Transport) kept(now time.Time) *conn {
	t.resolved().refresh(now)
	for {
		t.mu.Lock()
		n := len(t.idle)
		if n == 0 {
			t.mu.Unlock()
			return nil
		}
		c := t.idle[n-1]
		t.idle[n-1] = nil
		t.idle = t.idle[:n-1]
		t.mu.Unlock()
		if now.Before(c.until) && c.quiet() {
			c.reused = true
			return c
		}
		c.close()
	}
}

// keep makes a connection an idle one. hint is how long the server keeps it, as it
// has announced; less than 0: it hasn't.
func (t *Transport) keep(c *conn, hint time.Duration) {
	now := time.Now()
	wait := min(cmp.Or(t.IdleTimeout, DefaultIdleTimeout), maxAge-now.Sub(c.born))
	if hint >= 0 {
		wait = min(wait, hint-time.Second)
	}
	most := cmp.Or(t.MaxIdle, DefaultMaxIdle)
	if wait <= 0 || most < 0 || !t.resolved().keeps(c.address, &c.version) {
		c.close()
		return
	}
	c.until = now.Add(wait)
	var surplus *conn
	t.mu.Lock()
	if len(t.idle) >= most {
		surplus = t.idle[0]
		t.idle = slices.Delete(t.idle, 0, 1)
	}
	t.idle = append(t.idle, c)
	if t.sweepAt.IsZero() || c.until.Before(t.sweepAt) {
		t.sweepIn(now, wait)
	}
	t.mu.Unlock()
	if surplus != nil {
		surplus.close()
	}
}

// sweepIn starts the timer of sweep. One timer serves all idle connections, and
// isn't touched when a connection is taken and given back: it runs when the one
// that was due first would have been, and is set anew for those that are left.
func (t *Transport) sweepIn(now time.Time, wait time.Duration) {
	wait = max(wait, 100*time.Millisecond)
	t.sweepAt = now.Add(wait)
	if t.sweeper == nil {
		t.sweeper = time.AfterFunc(wait, t.sweep)
	} else {
		t.sweeper.Reset(wait)
	}
}

// sweep closes the idle connections that are due.
func (t *Transport) sweep() {
	now := time.Now()
	var due []*conn
	var next time.Time
	t.mu.Lock()
	t.idle = slices.DeleteFunc(t.idle, func(c *conn) bool {
		if !now.Before(c.until) {
			due = append(due, c)
			return true
		}
		if next.IsZero() || c.until.Before(next) {
			next = c.until
		}
		return false
	})
	t.sweepAt = time.Time{}
	if !next.IsZero() {
		t.sweepIn(now, next.Sub(now))
	}
	t.mu.Unlock()
	for _, c := range due {
		c.close()
	}
}

// closeGone closes the idle connections to addresses that the server no longer has.
func (t *Transport) closeGone() {
	var gone []*conn
	t.mu.Lock()
	t.idle = slices.DeleteFunc(t.idle, func(c *conn) bool {
		if t.names.keeps(c.address, &c.version) {
			return false
		}
		gone = append(gone, c)
		return true
	})
	t.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// CloseIdleConnections closes the connections that are kept and not in use.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
