package request

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// inContext calls f in a bubble with a context, and what ends its parent.
func inContext(t *testing.T, f func(t *testing.T, c *Context, leave context.CancelFunc)) {
	synctest.Test(t, func(t *testing.T) {
		parent, leave := context.WithCancel(t.Context())
		defer leave()
		c := new(Context)
		c.reset(parent)
		f(t, c, leave)
	})
}

func ended(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestContextDeadline: the deadline is the parent's or that of SetTimeout, whichever comes
// first, and can be moved and removed as long as it isn't over.
func TestContextDeadline(t *testing.T) {
	inContext(t, func(t *testing.T, c *Context, _ context.CancelFunc) {
		if at, ok := c.Deadline(); ok {
			t.Errorf("a deadline, %v", at)
		}
		now := time.Now()
		c.SetTimeout(time.Second)
		if at, ok := c.Deadline(); !ok || !at.Equal(now.Add(time.Second)) {
			t.Errorf("%v, %v", at, ok)
		}
		time.Sleep(time.Second - 1)
		if err := c.Err(); err != nil {
			t.Errorf("before the deadline: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := c.Err(); err != context.DeadlineExceeded {
			t.Errorf("at the deadline: %v", err)
		}
		c.SetTimeout(0)
		if _, ok := c.Deadline(); ok || c.Err() != nil {
			t.Errorf("without a deadline: %v, %v", ok, c.Err())
		}
	})
	inContext(t, func(t *testing.T, c *Context, _ context.CancelFunc) {
		parent, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c.reset(parent)
		of, _ := parent.Deadline()
		for _, d := range []time.Duration{0, time.Minute + 1, time.Hour} {
			c.SetTimeout(d)
			if at, ok := c.Deadline(); !ok || !at.Equal(of) {
				t.Errorf("%v: %v, %v", d, at, ok)
			}
		}
		c.SetTimeout(time.Second)
		if at, ok := c.Deadline(); !ok || !at.Equal(time.Now().Add(time.Second)) {
			t.Errorf("%v, %v", at, ok)
		}
	})
}

// TestContextDone: who waits for the end sees that of the deadline as it is moved, and that of
// the parent.
func TestContextDone(t *testing.T) {
	inContext(t, func(t *testing.T, c *Context, _ context.CancelFunc) {
		c.SetTimeout(time.Second)
		done := c.Done()
		if c.Done() != done {
			t.Error("two channels")
		}
		time.Sleep(time.Second - 1)
		c.SetTimeout(2 * time.Second) // later
		c.expire()                    // as a timer that has just run
		if time.Sleep(2*time.Second - 1); ended(done) || c.Err() != nil {
			t.Errorf("before the deadline: %v", c.Err())
		}
		if time.Sleep(time.Nanosecond); !ended(done) || c.Err() != context.DeadlineExceeded {
			t.Errorf("at the deadline: %v", c.Err())
		}
		c.SetTimeout(time.Hour)
		if c.Err() != context.DeadlineExceeded || !ended(c.Done()) {
			t.Error("an end is taken back")
		}
	})
	inContext(t, func(t *testing.T, c *Context, _ context.CancelFunc) {
		c.SetTimeout(time.Hour)
		done := c.Done()
		c.SetTimeout(time.Second) // sooner
		if time.Sleep(time.Second); !ended(done) {
			t.Error("it goes on")
		}
	})
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		c.SetTimeout(time.Second)
		done := c.Done()
		c.SetTimeout(0)
		c.expire()
		if time.Sleep(time.Hour); ended(done) || c.Err() != nil {
			t.Errorf("without a deadline: %v", c.Err())
		}
		if leave(); !ended(done) || c.Err() != context.Canceled {
			t.Errorf("the parent has ended: %v", c.Err())
		}
	})
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		done := c.Done()
		if ended(done) {
			t.Error("it has ended")
		}
		if leave(); !ended(done) || c.Err() != context.Canceled {
			t.Errorf("the parent has ended: %v", c.Err())
		}
	})
}

// TestContextLateDeadline: a deadline that comes when somebody waits for the end already ends it,
// too, and one that is replaced by a new parent doesn't end with the old one.
func TestContextLateDeadline(t *testing.T) {
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		done := c.Done()
		c.SetTimeout(time.Second)
		if time.Sleep(time.Second - 1); ended(done) {
			t.Error("before the deadline")
		}
		if time.Sleep(time.Nanosecond); !ended(done) || c.Err() != context.DeadlineExceeded {
			t.Errorf("at the deadline: %v", c.Err())
		}
	})
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		done := c.Done()
		base, cut := context.WithCancel(t.Context())
		c.setParent(base)
		if leave(); ended(done) || c.Err() != nil {
			t.Errorf("the old parent has ended: %v", c.Err())
		}
		if cut(); !ended(done) || c.Err() != context.Canceled {
			t.Errorf("the new parent has ended: %v", c.Err())
		}
	})
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		done := c.Done()
		c.release()
		c.SetTimeout(time.Second)
		if time.Sleep(time.Minute); ended(done) {
			t.Error("a timer runs after the request")
		}
	})
}

// TestContextReleased: after the request nothing ends its context but the end of the parent,
// and this for those who begin to wait then.
func TestContextReleased(t *testing.T) {
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		c.SetTimeout(time.Second)
		done := c.Done()
		c.release()
		if time.Sleep(time.Minute); ended(done) {
			t.Error("its timer has run")
		}
		leave()
		if ended(done) {
			t.Error("it waits for its parent")
		}
	})
	inContext(t, func(t *testing.T, c *Context, leave context.CancelFunc) {
		c.SetTimeout(time.Second)
		c.release()
		done := c.Done()
		if time.Sleep(time.Minute); ended(done) {
			t.Error("its timer has run")
		}
		if leave(); !ended(done) {
			t.Error("it doesn't wait for its parent")
		}
	})
}

// TestContextIsReused: the next request on a connection has the same context, as new, unless
// somebody has waited for its end.
func TestContextIsReused(t *testing.T) {
	inContext(t, func(t *testing.T, _ *Context, _ context.CancelFunc) {
		r := new(Request)
		first := r.Open(t.Context(), t.Context())
		r.Begin(new(http.Request), nil)
		r.Timeout = time.Second
		r.StartTimeout()
		time.Sleep(time.Second)
		if first.Err() == nil {
			t.Error("no timeout")
		}
		gone, leave := context.WithCancel(t.Context())
		second := r.Open(gone, t.Context())
		r.Begin(new(http.Request), new(lease))
		if second != first || second.Err() != nil {
			t.Errorf("another context: %v; %v", second != first, second.Err())
		}
		if leave(); second.Err() != context.Canceled {
			t.Errorf("the client has left: %v", second.Err())
		}
		r.Leave()
		third := r.Open(t.Context(), t.Context())
		r.Begin(new(http.Request), nil)
		if third != first || third.Err() != nil {
			t.Errorf("another context: %v; %v", third != first, third.Err())
		}
		r.SetTimeout(time.Second)
		done := third.Done()
		if time.Sleep(time.Second); !ended(done) {
			t.Error("no timeout for those who wait")
		}
		if fourth := r.Open(t.Context(), t.Context()); fourth == third {
			t.Error("somebody may wait for the end of the context, and it is used again")
		}
	})
}
