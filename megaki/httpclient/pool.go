package httpclient

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"mkd/megaki"
)

// maxFailedResumes is the number of connections in a row that may end while they
// resume the session, before one does a handshake instead. A single one may be
// an accident of the network.
const maxFailedResumes = 3

// idleConn is a connection that waits for a request.
type idleConn struct {
	*megaki.Conn
	timer *time.Timer // closes it
}

// admit counts a request, and refuses it if too many wait.
func (t *Transport) admit() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.admitted >= t.maxConns()+t.maxQueue() {
		return ErrBusy
	}
	t.admitted++
	return nil
}

func (t *Transport) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.admitted--
}

// take returns the idle connection that was used last, or nil. So those that
// aren't needed expire.
func (t *Transport) take() *megaki.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == 0 {
		return nil
	}
	c := t.idle[len(t.idle)-1]
	t.idle = t.idle[:len(t.idle)-1]
	c.timer.Stop()
	return c.Conn
}

// keep makes a connection idle. The caller still holds its slot, so there are
// never more than MaxConns connections.
func (t *Transport) keep(c *megaki.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := &idleConn{Conn: c}
	i.timer = time.AfterFunc(t.idleTimeout(), func() { t.expire(i) })
	t.idle = append(t.idle, i)
}

// expire closes a connection if it is still idle.
func (t *Transport) expire(c *idleConn) {
	t.mu.Lock()
	i := slices.Index(t.idle, c)
	if i >= 0 {
		t.idle = slices.Delete(t.idle, i, i+1)
	}
	t.mu.Unlock()
	if i >= 0 {
		c.Close()
	}
}

// CloseIdleConnections closes the connections that carry no request. The
// Transport can be used again, and resumes its session.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, c := range idle {
		c.timer.Stop()
		c.Close()
	}
}

// connect opens a connection and begins the session on it.
func (t *Transport) connect(ctx context.Context) (*megaki.Conn, error) {
	limit := t.Config.HandshakeTimeout
	if limit == 0 {
		limit = megaki.DefaultHandshakeTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("connecting took longer than %s", limit))
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.Address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", t.Address, context.Cause(ctx))
		}
		return nil, err
	}
	c, err := t.begin(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", t.Address, err)
	}
	return c, nil
}

// begin begins the session on a connection. It does so for one connection at a
// time: each resumption makes the key that the next one begins with, and two at
// once from the same key would end each other's.
func (t *Transport) begin(ctx context.Context, conn net.Conn) (*megaki.Conn, error) {
	if err := acquire(ctx, t.begun); err != nil {
		return nil, err
	}
	defer release(t.begun)
	cfg := t.Config
	if cfg.Session = t.Session(); t.failed >= maxFailedResumes {
		cfg.Session = nil
	}
	if cfg.ClientKey == nil {
		if t.key == nil && cfg.Session == nil {
			key, err := megaki.GenerateKey()
			if err != nil {
				return nil, err
			}
			t.key = key
		}
		cfg.ClientKey = t.key // nil: made if the server has forgotten the session
	}
	c, err := megaki.NewConn(ctx, conn, &cfg)
	if err != nil {
		if cfg.Session != nil && ctx.Err() == nil {
			t.failed++
		}
		return nil, err
	}
	t.failed = 0
	s := c.Session()
	t.mu.Lock()
	t.session = &s
	t.mu.Unlock()
	if t.OnConnect != nil {
		if err := t.OnConnect(c); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}
