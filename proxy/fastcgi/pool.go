package fastcgi

import (
	"cmp"
	"context"
	"net"
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
		return nil, false, roundtrip.DialError(err)
	}
	return newConn(nc), false, nil
}

func (t *Transport) dial(rt *roundTrip) (net.Conn, error) {
	network := cmp.Or(t.Network, "tcp")
	if network == "unix" {
		// This can't block: a unix socket takes a connection at once, or refuses
		// it because its queue is full. So it needs no watch over the context.
		return rawio.DialUnix(t.Address)
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
	now := time.Now()
	for {
		k, ok := t.idle.Take(now, !repeatable)
		if !ok {
			return nil
		}
		if (repeatable || now.Sub(k.Since) >= settled) && k.Conn.quiet() {
			return k.Conn
		}
		k.Conn.Discard()
		if !repeatable {
			return nil
		}
	}
}

// keep makes a connection an idle one.
func (t *Transport) keep(c *conn) {
	if t.KeepAlive <= 0 {
		c.Discard()
		return
	}
	now := time.Now()
	t.idle.Put(roundtrip.Kept[*conn]{Conn: c, Since: now, Until: now.Add(cmp.Or(t.IdleTimeout, DefaultIdleTimeout))}, t.KeepAlive)
}

// CloseIdleConnections closes the connections that are kept and not in use.
func (t *Transport) CloseIdleConnections() { t.idle.Discard(func(*conn) bool { return true }) }
