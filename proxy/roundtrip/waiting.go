package roundtrip

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"
)

// Patience is how long a Trip goes on before its context is watched, and before a
// write that the server doesn't take goes on in the background: most are over by
// then, and are spared the cost.
const Patience = 100 * time.Millisecond

// waiting bounds the time for which the server is waited for.
type waiting struct {
	began   time.Time
	until   time.Time     // the deadline of the context; zero: none
	limit   time.Duration // for what is being waited for; 0: none
	since   time.Time     // when the wait began
	armed   bool          // since is set
	unwatch func() bool   // ends the watch over the context; nil: there is none

	remindAt time.Time // when remind is called in a wait; zero: never
	remind   func()
}

// Timeout returns a timeout, or 0 for none. A configured one of 0 is the standard
// one; one less than 0 is none.
func Timeout(configured, standard time.Duration) time.Duration {
	return max(0, cmp.Or(configured, standard))
}

// Limit sets how long each wait may take from now on; 0: no limit. A wait begins
// with Arm or with the first Receive after Disarm.
func (t *Trip) Limit(d time.Duration) { t.limit = d }

// Disarm ends a wait, so that the next Receive begins another one.
func (t *Trip) Disarm() { t.armed = false }

// Remind has f called in the midst of a wait, once, at a time.
func (t *Trip) Remind(at time.Time, f func()) { t.remindAt, t.remind = at, f }

// Forget takes Remind back. It reports false if there is nothing to take back.
func (t *Trip) Forget() bool {
	waited := !t.remindAt.IsZero()
	t.remindAt, t.remind = time.Time{}, nil
	return waited
}

// Until returns the deadline of the context, zero if it has none.
func (t *Trip) Until() time.Time { return t.until }

// Late reports whether the deadline of the context is over.
func (t *Trip) Late(now time.Time) bool { return !t.until.IsZero() && !now.Before(t.until) }

// Ended reports whether the context has ended, or is about to.
func (t *Trip) Ended() bool {
	t.until, _ = t.ctx.Deadline() // it may have been moved
	return t.ctx.Err() != nil || !t.until.IsZero() && t.Late(time.Now())
}

// Cause returns why the context has ended. It may be about to.
func (t *Trip) Cause() error {
	if err := context.Cause(t.ctx); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// Arm begins a wait, and returns the deadline that the connection is to have
// first.
func (t *Trip) Arm() time.Time {
	t.since, t.armed = time.Now(), true
	t.until, _ = t.ctx.Deadline() // it may have been moved since
	if t.unwatch == nil && t.since.Sub(t.began) >= Patience {
		t.watch()
	}
	until := t.deadline()
	if t.unwatch == nil {
		until = sooner(until, t.since.Add(Patience))
	}
	return until
}

// Deadlines are those of a connection, of reads and of writes, as the Trips on it have
// left them. The zero value is that of a new connection.
type Deadlines struct{ both time.Time } // zero: unknown

// Start begins the wait in which the request is sent, and sets the connection's
// deadlines. To do so costs more than to meet one too early now and then, after which
// it is set exactly: those of an earlier Trip stay if they aren't later.
func (t *Trip) Start() {
	first := sooner(t.Arm(), t.since.Add(Patience))
	if d := t.deadlines; !d.both.After(t.since) || d.both.After(first) {
		t.conn.SetDeadline(first)
		d.both = first
	}
}

// setReadDeadline sets that of reads alone.
func (t *Trip) setReadDeadline(at time.Time) {
	t.conn.SetReadDeadline(at)
	t.deadlines.both = time.Time{}
}

// setWriteDeadline sets that of writes alone.
func (t *Trip) setWriteDeadline(at time.Time) {
	t.conn.SetWriteDeadline(at)
	t.deadlines.both = time.Time{}
}

// watch makes the end of the context abort the Trip.
func (t *Trip) watch() {
	ctx := t.ctx
	t.unwatch = context.AfterFunc(ctx, func() { t.Abort(context.Cause(ctx)) })
}

// StopWatch ends the watch over the context.
func (t *Trip) StopWatch() {
	if t.unwatch != nil {
		t.unwatch()
	}
}

// deadline returns when the wait is to end; zero: never. It begins anew when the
// server takes a part of the request.
func (t *Trip) deadline() time.Time {
	until := t.until
	if t.limit > 0 {
		from := t.since
		if last := t.began.Add(time.Duration(t.progress.Load())); last.After(from) {
			from = last
		}
		until = sooner(until, from.Add(t.limit))
	}
	if !t.remindAt.IsZero() {
		until = sooner(until, t.remindAt)
	}
	return until
}

// sooner returns the earlier of two deadlines, of which zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// overdue is called when a read met its deadline. It returns nil if the wait goes
// on: only Patience was over, the server took a part of the request, or the
// request's body is waited for, which isn't the server's fault.
func (t *Trip) overdue() error {
	if t.unwatch == nil {
		t.watch()
	}
	now := time.Now()
	t.until, _ = t.ctx.Deadline() // it may have been moved since Arm
	if t.ctx.Err() != nil || t.Late(now) {
		return t.Cause()
	}
	if f := t.remind; f != nil && !now.Before(t.remindAt) {
		t.Forget()
		f()
		t.since = now
	}
	if t.reading.Load() {
		t.since = now
	}
	until := t.deadline()
	if !until.IsZero() && !now.Before(until) {
		return ErrTimeout
	}
	t.setReadDeadline(until)
	return nil
}

// Receive reads from the connection, within the time that is allowed.
func (t *Trip) Receive(p []byte) (int, error) {
	if !t.armed {
		t.setReadDeadline(t.Arm())
	}
	for {
		n, err := t.conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := t.overdue(); err != nil {
			return 0, err
		}
	}
}
