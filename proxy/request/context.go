package request

import (
	"context"
	"sync"
	"time"
)

// Context is a context with a deadline that can be moved. It costs nothing until
// somebody waits for its end.
type Context struct {
	context.Context // the parent

	mu       sync.Mutex
	deadline time.Time     // zero: the parent's alone
	done     chan struct{} // nil until it is asked for
	timer    *time.Timer   // nil until there is a deadline as well
	stop     func() bool   // stops waiting for the parent's end
	err      error
	released bool // nobody waits any more
	waited   bool // Done was called
}

// reset makes c a new context. Nobody may wait for the old one.
func (c *Context) reset(parent context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Context, c.deadline = parent, time.Time{}
	c.done, c.timer, c.stop, c.err, c.released = nil, nil, nil, nil, false
}

// asked reports whether somebody has waited for the context's end. Then it must not
// be used for another request: package context asks again for Done and Err, on
// goroutines that may start after the request has ended.
func (c *Context) asked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waited
}

// setParent replaces the parent.
func (c *Context) setParent(parent context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Context = parent
	if c.stop != nil {
		c.stop()
		c.watch()
	}
}

// watch makes the context end with its parent. The caller holds mu.
func (c *Context) watch() {
	parent := c.Context
	c.stop = context.AfterFunc(parent, func() { c.end(parent.Err()) })
}

// Value implements context.Context. It may be called after the request, or beside it: a
// dial of net/http goes on when its request has got another connection.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	parent := c.Context
	c.mu.Unlock()
	return parent.Value(key)
}

// SetTimeout moves the deadline to d from now on; 0 means none.
func (c *Context) SetTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline = (time.Time{}); d > 0 {
		c.deadline = time.Now().Add(d)
	}
	switch {
	case c.done == nil || c.released: // nobody waits
	case d <= 0:
		if c.timer != nil {
			c.timer.Stop()
		}
	case c.timer == nil:
		c.timer = time.AfterFunc(d, c.expire)
	default:
		c.timer.Reset(d)
	}
}

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.Context.Deadline()
	if !c.deadline.IsZero() && (!ok || c.deadline.Before(at)) {
		return c.deadline, true
	}
	return at, ok
}

// Err implements context.Context.
func (c *Context) Err() error {
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
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waited = true
	switch {
	case c.done != nil:
		return c.done
	case c.released:
		return c.Context.Done()
	}
	c.done = make(chan struct{})
	if !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), c.expire)
	}
	c.watch()
	return c.done
}

// expire ends the context, unless its deadline was moved just now.
func (c *Context) expire() {
	c.mu.Lock()
	due := !c.deadline.IsZero() && !time.Now().Before(c.deadline)
	c.mu.Unlock()
	if due {
		c.end(context.DeadlineExceeded)
	}
}

func (c *Context) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

// release stops the timer, and the wait for the parent's end, which would outlive the
// request. Whoever waits by then isn't woken any more; whoever asks for the first time
// afterwards waits for the parent's end.
func (c *Context) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.stop != nil {
		c.stop()
	}
}
