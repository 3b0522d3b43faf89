package upstream

import (
	"cmp"
	"context"
	"time"

	"mkd/proxy/roundtrip"
	"mkd/share"
)

// maxAge is how long a connection is kept, so that names are resolved anew.
const maxAge = 5 * time.Minute

// waiter is a request that waits for a connection.
type waiter struct {
	share   *share.Client
	outcome chan error // gets one; nil: a connection is counted for it
	turn    share.Turn[waiter]
}

// acquire waits until one more connection may be in use. Each client has its share of
// them, and clients take turns.
func (t *Transport) acquire(rt *roundTrip) error {
	if t.MaxConnections <= 0 || rt.uncounted {
		return nil
	}
	t.mu.Lock()
	if t.conns == nil {
		t.conns, t.queue = share.NewPool(int64(t.MaxConnections), 0), share.NewQueue[waiter](max(0, cmp.Or(t.Queue, DefaultQueue)))
	}
	w := &waiter{share: t.conns.Join(rt.client.Addr())}
	if w.share.Take(1, 0) {
		t.mu.Unlock()
		rt.share = w.share
		return nil
	}
	w.outcome = make(chan error, 1)
	joined, evicted := t.queue.Join(w, &w.turn, rt.client)
	t.mu.Unlock()
	if evicted != nil {
		evicted.outcome <- ErrQueueFull
	}
	err := ErrQueueFull
	if joined {
		var gaveUp bool
		if err, gaveUp = t.await(w, rt); gaveUp && !t.leave(w) {
			err = <-w.outcome // it came at the same moment, and is as good as any
		}
	}
	if err != nil {
		w.share.Leave()
		return err
	}
	rt.share = w.share
	return nil
}

// await waits for the outcome. Most waits are short, so that the context is watched only
// in a long one. gaveUp reports that it didn't come in time.
func (t *Transport) await(w *waiter, rt *roundTrip) (outcome error, gaveUp bool) {
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
		case err := <-w.outcome:
			return err, false
		case <-ended:
			return context.Cause(ctx), true
		case <-timer.C:
		}
		if !until.IsZero() && !time.Now().Before(until) {
			return ErrQueueTimeout, true
		}
		ended = ctx.Done()
		if !until.IsZero() {
			timer.Reset(time.Until(until))
		}
	}
}

// leave gives up waiting. It reports false if there is an outcome.
func (t *Transport) leave(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queue.Leave(&w.turn)
}

// release gives a connection back, and lets those have one that wait and may: what waits
// although connections are free has its client's share in use. c is nil if none was counted.
func (t *Transport) release(c *share.Client) {
	if c == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Give(1)
	c.Leave()
	takes := func(w *waiter) bool { return w.share.Take(1, 0) }
	for w := t.queue.NextThat(takes); w != nil; w = t.queue.NextThat(takes) {
		w.outcome <- nil
	}
}

// inUse returns how many connections are in use, 0 if they aren't limited. The caller
// holds the mutex.
func (t *Transport) inUse() int {
	if t.conns == nil {
		return 0
	}
	return int(t.conns.InUse())
}

// waiting returns how many requests wait. The caller holds the mutex.
func (t *Transport) waiting() int {
	if t.queue == nil {
		return 0
	}
	return t.queue.Len()
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
