package upstream

import (
	"context"
	"errors"
	"os"
	"time"
)

// patience is how long an exchange goes on before its context is watched, and
// before a write that the server doesn't take goes on in the background: most
// are over by then, and are spared the cost.
const patience = 100 * time.Millisecond

// continueWait is how long a server may take to ask for a body that waits for it.
const continueWait = time.Second

// waits bounds the time that an exchange takes.
type waits struct {
	began   time.Time
	until   time.Time     // the deadline of the context; zero: none
	limit   time.Duration // for what is being waited for; 0: none
	since   time.Time     // when the wait began
	armed   bool          // since is set
	asked   time.Time     // when the wait for 100 (Continue) ends
	unwatch func() bool   // ends the watch over the context; nil: there is none
}

// late tells whether the deadline of the context is over.
func (w *waits) late(now time.Time) bool { return !w.until.IsZero() && !now.Before(w.until) }

// cause returns why the context ended. It may be about to.
func (x *exchange) cause() error {
	if err := context.Cause(x.r.Context()); err != nil {
		return err
	}
	return context.DeadlineExceeded
}

// arm starts the time within which the limit allows an answer. It returns the
// deadline that the connection is to have first.
func (x *exchange) arm() time.Time {
	x.since, x.armed = time.Now(), true
	x.until, _ = x.r.Context().Deadline() // it may have been moved since
	if x.unwatch == nil && x.since.Sub(x.began) >= patience {
		x.watch()
	}
	until := x.deadline()
	if x.unwatch == nil {
		until = sooner(until, x.since.Add(patience))
	}
	return until
}

// watch has the end of the context end the exchange.
func (x *exchange) watch() {
	ctx := x.r.Context()
	x.unwatch = context.AfterFunc(ctx, func() { x.abort(context.Cause(ctx)) })
}

// deadline returns when the wait is to end; zero: never.
func (x *exchange) deadline() time.Time {
	until := x.until
	if x.limit > 0 {
		from := x.since
		if last := time.Unix(0, x.progress.Load()); last.After(from) {
			from = last
		}
		until = sooner(until, from.Add(x.limit))
	}
	if x.expecting {
		until = sooner(until, x.asked)
	}
	return until
}

// sooner returns the earlier of two deadlines, of which zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// overdue is called when a read met its deadline. It returns nil if that was
// only the end of patience, or if the server took a part of the request since.
func (x *exchange) overdue() error {
	if x.unwatch == nil {
		x.watch()
	}
	now := time.Now()
	if x.r.Context().Err() != nil || x.late(now) {
		return x.cause()
	}
	if x.expecting && !now.Before(x.asked) {
		x.startBody()
		x.since = now
	}
	if x.reading.Load() { // the server can't be blamed for what it isn't sent
		x.since = now
	}
	until := x.deadline()
	if !until.IsZero() && !now.Before(until) {
		return ErrTimeout
	}
	x.conn.Conn.SetReadDeadline(until)
	return nil
}

// receive reads from the socket, within the time that is allowed.
func (x *exchange) receive(p []byte) (int, error) {
	if !x.armed {
		x.conn.Conn.SetReadDeadline(x.arm())
	}
	for {
		n, err := x.conn.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := x.overdue(); err != nil {
			return 0, err
		}
	}
}
