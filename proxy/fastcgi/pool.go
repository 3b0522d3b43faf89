package fastcgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"mkd/proxy/roundtrip"
	"mkd/rawio"
)

// connect returns a kept connection, or a new one.
func (t *Transport) connect(rt *roundTrip) (c *conn, reused bool, err error) {
	if t.KeepAlive > 0 {
		if c := t.kept(rt.repeatable()); c != nil {
			return c, true, nil
		}
	}
	nc, err := t.dial(rt)
	if err != nil {
		if rt.Ended() {
			err = rt.Cause()
		}
		return nil, false, err
	}
	return newConn(nc), false, nil
}

func (t *Transport) dial(rt *roundTrip) (net.Conn, error) {
	network := cmp.Or(t.Network, "tcp")
	if network == "unix" {
		// This can't block: a unix socket takes a connection at once, or refuses
		// it because its queue is full. So it needs no watch over the context.
		conn, err := rawio.DialUnix(t.Address)
		if errors.Is(err, syscall.EAGAIN) {
			err = fmt.Errorf("%w: %w", ErrQueueFull, err)
		}
		return conn, err
	}
	ctx := rt.r.Context()
	if end := rt.Until(); !end.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	dialer := net.Dialer{Timeout: roundtrip.Timeout(t.DialTimeout, DefaultDialTimeout)}
	return dialer.DialContext(ctx, network, t.Address)
}

// settled is how long a connection has to be idle before it gets a request that
// can't be repeated. A worker that ends does so right after a response, but not at
// the same moment.
const settled = 50 * time.Millisecond

// kept returns an idle connection that is still open, or nil. A worker of PHP-FPM
// that has served pm.max_requests has closed its own, and yet a write to it
// succeeds; so it is looked at first. For a request that can't be repeated it is
// the one that was idle the longest, or, if that isn't long, none: it is closed,
// so that its worker can take the new one.
func (t *Transport) kept(repeatable bool) *conn {
	for {
		c := t.takeIdle(repeatable)
		if c == nil {
			return nil
		}
		c.expiry.Stop()
		if (repeatable || time.Since(c.since) >= settled) && c.quiet() {
			return c
		}
		c.close()
		if !repeatable {
			return nil
		}
	}
}

// takeIdle returns the connection that was used last, or first; nil if there is
// none.
func (t *Transport) takeIdle(last bool) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.idle)
	if n == 0 {
		return nil
	}
	i := 0
	if last {
		i = n - 1
	}
	c := t.idle[i]
	t.idle = slices.Delete(t.idle, i, i+1)
	return c
}

// keep makes a connection an idle one, or closes it if there are enough.
func (t *Transport) keep(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) >= t.KeepAlive {
		c.close()
		return
	}
	c.since = time.Now()
	t.idle = append(t.idle, c)
	wait := cmp.Or(t.IdleTimeout, DefaultIdleTimeout)
	if c.expiry == nil {
		c.expiry = time.AfterFunc(wait, func() { t.expire(c) })
	} else {
		c.expiry.Reset(wait)
	}
}

// expire closes a connection if it is idle.
func (t *Transport) expire(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.idle, c); i >= 0 {
		t.idle = slices.Delete(t.idle, i, i+1)
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
