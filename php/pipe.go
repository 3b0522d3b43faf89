package php

import (
	"context"
	"errors"
	"os"
	"time"

	"mkd/rawio"
)

// patience is how long a call goes on before its context is watched: most calls
// have ended by then, and avoid the cost.
const patience = 100 * time.Millisecond

// pipe is the two pipes of a worker, with the deadline and the context of a call.
type pipe struct {
	in, out *os.File    // calls to the worker; frames from it
	raw     *rawio.Pipe // both

	ctx      context.Context
	deadline time.Time
	armed    time.Time // when reads and writes return: the deadline, or before it; zero: unknown
	watching bool
	unwatch  func()

	peeked [1]byte // for idle; a local variable would be allocated
}

func newPipe(in, out *os.File) *pipe {
	return &pipe{in: in, out: out, raw: rawio.NewPipe(out, in)}
}

// idle reports whether the worker is quiet, as it must be between calls. If it has
// ended or written a byte, it can't be used.
func (p *pipe) idle() bool {
	_, err := p.raw.TryRead(p.peeked[:])
	return err == rawio.ErrNothing
}

// begin bounds reads and writes by a deadline and a context, until end.
func (p *pipe) begin(ctx context.Context, deadline time.Time) {
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	p.ctx, p.deadline, p.watching, p.unwatch = ctx, deadline, false, nil
	now := time.Now()
	first := sooner(deadline, now.Add(patience))
	// To move a deadline costs more than to reach one once in a while, so that of an
	// earlier call stays if it isn't later: goesOn moves it then.
	if !p.armed.After(now) || p.armed.After(first) {
		p.arm(first)
	}
}

// extend moves the deadline, as far as that of the context allows: it is sooner if the
// context has got one meanwhile.
func (p *pipe) extend(deadline time.Time) {
	if d, ok := p.ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if p.deadline = deadline; deadline.Before(p.armed) {
		p.rearm()
	}
}

// sooner returns the earlier of two times.
func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// arm makes reads and writes return at a time.
func (p *pipe) arm(at time.Time) {
	p.armed = at
	p.interrupt(at)
}

func (p *pipe) interrupt(at time.Time) {
	p.in.SetWriteDeadline(at)
	p.out.SetReadDeadline(at)
}

// end removes the bounds that begin set.
func (p *pipe) end() {
	if p.unwatch != nil {
		p.unwatch()
		p.armed = time.Time{} // the end of the context may have changed it
	}
	p.ctx = nil // so that it can be collected
}

// goesOn is called when a read or write has returned because of the time. It reports
// whether the call has more of it.
func (p *pipe) goesOn() bool {
	if p.ctx.Err() != nil || !time.Now().Before(p.deadline) {
		return false
	}
	if p.rearm(); !p.watching && p.ctx.Done() != nil {
		p.watching, p.unwatch = true, p.watch()
	}
	return true
}

// rearm makes reads and writes return at the deadline.
func (p *pipe) rearm() {
	p.arm(p.deadline)
	if p.watching && p.ctx.Err() != nil { // arm may have undone the interrupt
		p.interrupt(time.Unix(1, 0))
	}
}

// watch interrupts reads and writes when the context ends. The function that it
// returns ends that.
func (p *pipe) watch() (unwatch func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(p.ctx, func() {
		p.interrupt(time.Unix(1, 0))
		close(done)
	})
	return func() {
		if !stop() {
			<-done // it must not interrupt the next call
		}
	}
}

// cause returns why the time of a call has ended.
func (p *pipe) cause() error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	if d, ok := p.ctx.Deadline(); ok && !p.deadline.Before(d) {
		return context.DeadlineExceeded
	}
	return ErrTimeout
}

func (p *pipe) Read(b []byte) (int, error) {
	for {
		n, err := p.raw.Read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && p.goesOn() {
			continue
		}
		return n, err
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	total := 0
	for {
		n, err := p.raw.Write(b[total:])
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) && p.goesOn() {
			continue
		}
		return total, err
	}
}

func (p *pipe) close() {
	p.in.Close()
	p.out.Close()
}
