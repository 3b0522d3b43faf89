package proxy

import (
	"context"
	"io"
	"sync"
	"time"
)

// The route's timeout bounds how long a backend is waited for: until its response
// begins, and then for each part of it. It doesn't run while the client is waited
// for. A Megaki message is the exception: its response goes back in one piece, so
// the timeout, or wholeTimeout if there is none, bounds the body as a whole.

// wholeTimeout is how long the body of a response to a Megaki message may take if
// the route has no timeout.
const wholeTimeout = 5 * time.Minute

// startTimeout starts the route's timeout: from now on the backend is waited for.
func (x *exchange) startTimeout() { x.setTimeout(x.route.cfg.Timeout) }

// bodyBegins is called when a response has begun and its body is awaited.
func (x *exchange) bodyBegins() {
	if x.startTimeout(); x.message != nil && x.route.cfg.Timeout == 0 {
		x.setTimeout(wholeTimeout)
	}
}

// partCame is called when a part of the body has come, and partAwaited when the
// next one is waited for.
func (x *exchange) partCame() {
	if x.message == nil {
		x.setTimeout(0)
	}
}

func (x *exchange) partAwaited() {
	if x.message == nil {
		x.startTimeout()
	}
}

// timed returns the body of a response, which has begun, under the timeout.
func (x *exchange) timed(body io.Reader) io.Reader {
	x.bodyBegins()
	if x.message != nil || x.route.cfg.Timeout == 0 {
		return body
	}
	return &timedReader{body, x}
}

// timedReader is the body of a response under the timeout.
type timedReader struct {
	body io.Reader
	x    *exchange
}

func (t *timedReader) Read(p []byte) (int, error) {
	t.x.partAwaited()
	n, err := t.body.Read(p)
	t.x.partCame()
	return n, err
}

// timeoutContext is a context with a deadline that can be moved. It costs
// nothing until somebody waits for its end.
type timeoutContext struct {
	context.Context // the parent

	mu       sync.Mutex
	deadline time.Time     // zero: the parent's alone
	done     chan struct{} // nil until it is asked for while there is a deadline
	timer    *time.Timer
	stop     func() bool // stops listening to the parent
	err      error
}

// setTimeout moves the deadline to d from now on; 0 means none.
func (c *timeoutContext) setTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline = (time.Time{}); d > 0 {
		c.deadline = time.Now().Add(d)
	}
	switch {
	case c.timer == nil:
	case d > 0:
		c.timer.Reset(d)
	default:
		c.timer.Stop()
	}
}

// Deadline implements context.Context.
func (c *timeoutContext) Deadline() (time.Time, bool) {
	at, ok := c.Context.Deadline()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.IsZero() && (!ok || c.deadline.Before(at)) {
		return c.deadline, true
	}
	return at, ok
}

// Err implements context.Context.
func (c *timeoutContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// Done implements context.Context.
func (c *timeoutContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done != nil {
		return c.done
	}
	if c.deadline.IsZero() {
		return c.Context.Done()
	}
	c.done = make(chan struct{})
	c.timer = time.AfterFunc(time.Until(c.deadline), c.expire)
	c.stop = context.AfterFunc(c.Context, func() { c.end(c.Context.Err()) })
	return c.done
}

// expire ends the context, unless its deadline was moved just now.
func (c *timeoutContext) expire() {
	c.mu.Lock()
	due := !c.deadline.IsZero() && !time.Now().Before(c.deadline)
	c.mu.Unlock()
	if due {
		c.end(context.DeadlineExceeded)
	}
}

func (c *timeoutContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// release stops the clock. The context must not be waited for any more.
func (c *timeoutContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.stop()
	}
}
