package proxy

import (
	"context"

	"mkd/config"
	"mkd/megaki"
	"mkd/php"
)

// phpBackend has a pool of PHP workers answer messages.
type phpBackend struct {
	pool   *php.Pool
	cancel bool // a client that goes away ends its request
}

func newPHPBackend(b *config.Backend, logs *Logs) (*phpBackend, error) {
	c := b.PHP
	queue := c.Queue
	if queue == 0 {
		queue = -1 // in package php 0 is the default
	}
	pool, err := php.NewPool(php.Options{
		Script:        c.Script,
		PHP:           c.PHP,
		Dir:           c.Dir,
		User:          c.User,
		Group:         c.Group,
		Env:           c.Env,
		Ini:           c.Ini,
		MinWorkers:    c.Workers.Min,
		MaxWorkers:    c.Workers.Max,
		Queue:         queue,
		QueueTimeout:  c.QueueTimeout,
		Timeout:       c.Timeout,
		BootTimeout:   c.BootTimeout,
		IdleTimeout:   c.IdleTimeout,
		MaxRequests:   c.MaxRequests,
		MaxAge:        c.MaxAge,
		MemoryLimit:   int64(c.MemoryLimit),
		MemoryCeiling: int64(c.MemoryCeiling),
		Logger:        logs.backend(b.Name),
	})
	if err != nil {
		return nil, err
	}
	return &phpBackend{pool: pool, cancel: c.Cancel}, nil
}

func (b *phpBackend) start(ctx context.Context) error    { return b.pool.Start(ctx) }
func (b *phpBackend) shutdown(ctx context.Context) error { return b.pool.Shutdown(ctx) }

// serve gives a script the message's bytes verbatim; what it returns is the
// whole answer. That goes for HTTP requests too, unless the script has a
// handler of its own for them.
func (b *phpBackend) serve(w *megaki.ResponseWriter, m *message) error {
	if m.payload == config.PayloadHTTP && b.pool.TakesHTTP() {
		return errNoHTTP
	}
	ctx := m.ctx
	if b.cancel {
		ctx = m.Context()
	}
	if m.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.timeout)
		defer cancel()
	}
	return b.pool.Do(ctx, &php.Call{ClientAddr: m.Client, Session: m.Session, Route: m.route, Body: m.Body}, w)
}
