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
		k, ok := t.idle.Take(now, false)
		if !ok {
			return nil
		}
		if k.Conn.quiet() {
			k.Conn.reused = true
			return k.Conn
		}
		k.Conn.Discard()
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
		c.Discard()
		return
	}
	t.idle.Put(roundtrip.Kept[*conn]{Conn: c, Since: now, Until: now.Add(wait)}, most)
}

// closeGone closes the idle connections to addresses that the server no longer has.
func (t *Transport) closeGone() {
	t.idle.Discard(func(c *conn) bool { return !t.names.keeps(c.address, &c.version) })
}

// CloseIdleConnections closes the connections that are kept and not in use.
func (t *Transport) CloseIdleConnections() { t.idle.Discard(func(*conn) bool { return true }) }
