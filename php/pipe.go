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
	p.set(sooner(deadline, time.Now().Add(patience)))
}

// extend moves the deadline, as far as that of the context allows.
func (p *pipe) extend(deadline time.Time) {
	if d, ok := p.ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	p.deadline = deadline
	if !p.watching {
		deadline = sooner(deadline, time.Now().Add(patience))
	}
	p.set(deadline)
	if p.watching && p.ctx.Err() != nil { // the deadline that its end set may be lost
		p.set(time.Unix(1, 0))
	}
}

// sooner returns the earlier of two times.
func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (p *pipe) set(deadline time.Time) {
	p.in.SetWriteDeadline(deadline)
	p.out.SetReadDeadline(deadline)
}

// end removes the bounds that begin set.
func (p *pipe) end() {
	if p.unwatch != nil {
		p.unwatch()
	}
	p.set(time.Time{})
	p.ctx = nil // so that it can be collected
}

// goesOn is called when a read or write reached its deadline. It reports whether
// that was only the end of patience.
func (p *pipe) goesOn() bool {
	if p.watching || !time.Now().Before(p.deadline) {
		return false
	}
	p.watching = true
	p.set(p.deadline)
	if p.ctx.Done() == nil {
		return true
	}
	done := make(chan struct{})
	stop := context.AfterFunc(p.ctx, func() {
		p.set(time.Unix(1, 0))
		close(done)
	})
	p.unwatch = func() {
		if !stop() {
			<-done // it must not change the deadline of the next call
		}
	}
	return true
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
