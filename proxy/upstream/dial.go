package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"mkd/proxy/roundtrip"
)

// dial makes a new connection. It ends with the request's context, which it
// watches only if it takes long.
func (t *Transport) dial(rt *roundTrip) (*conn, error) {
	ctx := rt.r.Context()
	dialing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var until time.Time
	if wait := roundtrip.Timeout(t.DialTimeout, DefaultDialTimeout); wait > 0 {
		until = time.Now().Add(wait)
	}
	if end := rt.Until(); !end.IsZero() && (until.IsZero() || end.Before(until)) {
		until = end
	}
	if !until.IsZero() {
		dialing, cancel = context.WithDeadline(dialing, until)
		defer cancel()
	}
	late := time.AfterFunc(roundtrip.Patience, func() {
		unwatch := context.AfterFunc(ctx, cancel)
		<-dialing.Done()
		unwatch()
	})
	defer late.Stop()
	c, err := t.connect(dialing, rt.preface)
	if err != nil && rt.Ended() {
		err = rt.Cause()
	}
	return c, err
}

func (t *Transport) connect(ctx context.Context, preface []byte) (*conn, error) {
	var dialer net.Dialer
	var nc net.Conn
	var err error
	address, version := t.Address, int64(0)
	if names := t.resolved(); names != nil {
		nc, address, version, err = names.dial(ctx)
	} else {
		nc, err = dialer.DialContext(ctx, cmp.Or(t.Network, "tcp"), t.Address)
	}
	if err != nil {
		return nil, roundtrip.DialError(err)
	}
	if len(preface) > 0 {
		if until, ok := ctx.Deadline(); ok {
			nc.SetWriteDeadline(until)
		}
		if _, err := nc.Write(preface); err != nil {
			nc.Close()
			return nil, err
		}
	}
	c := newConn(nc)
	c.address, c.version = address, version
	if t.TLS == nil {
		return c, nil
	}
	c.tls = tls.Client(c, t.tlsConfig())
	c.stream = c.tls
	if err := c.tls.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("the TLS handshake: %w", err)
	}
	return c, nil
}

// tlsConfig completes TLS, once.
func (t *Transport) tlsConfig() *tls.Config {
	if config := t.config.Load(); config != nil {
		return config
	}
	config := t.TLS.Clone()
	config.NextProtos = []string{"http/1.1"}
	// What is written is a whole request, or a large part of one: small records
	// at the beginning would only cost.
	config.DynamicRecordSizingDisabled = true
	if config.ServerName == "" {
		if host, _, err := net.SplitHostPort(t.Address); err == nil {
			config.ServerName = host
		}
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	t.config.CompareAndSwap(nil, config)
	return t.config.Load()
}
