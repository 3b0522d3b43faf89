package php

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// patience is how long a call goes on before its context is watched: most are
// over by then, and are spared the cost.
const patience = 100 * time.Millisecond

// pipe is the two pipes of a worker, read and written under the deadline and
// the context of a call.
type pipe struct {
	in, out *os.File // calls to the worker; frames from it
	raw     syscall.RawConn

	ctx      context.Context
	deadline time.Time
	watching bool
	unwatch  func()

	quiet bool // what look found
	look  func(fd uintptr) bool
}

func newPipe(in, out *os.File) *pipe {
	p := &pipe{in: in, out: out}
	p.raw, _ = out.SyscallConn()
	p.look = func(fd uintptr) bool {
		var b [1]byte
		for {
			_, err := syscall.Read(int(fd), b[:])
			if err == syscall.EINTR {
				continue
			}
			p.quiet = err == syscall.EAGAIN
			return true
		}
	}
	return p
}

// idle reports whether the worker keeps quiet, as it has to between calls: its
// end or a byte from it show that it can't be used.
func (p *pipe) idle() bool {
	p.quiet = false
	err := p.raw.Read(p.look)
	return err == nil && p.quiet
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
	if p.watching && p.ctx.Err() != nil { // perhaps the deadline that its end has set is lost
		p.set(time.Unix(1, 0))
	}
}

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

// end ends what begin began.
func (p *pipe) end() {
	if p.unwatch != nil {
		p.unwatch()
	}
	p.set(time.Time{})
	p.ctx = nil // what it holds on to needn't wait for the next call
}

// wait is called when a read or write met its deadline. It reports whether
// that was only the end of patience.
func (p *pipe) wait() bool {
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
			<-done // it must not touch the next call's deadline
		}
	}
	return true
}

// cause says why a call's time is over.
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
		n, err := p.out.Read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && p.wait() {
			continue
		}
		return n, err
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	total := 0
	for {
		n, err := p.in.Write(b[total:])
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) && p.wait() {
			continue
		}
		return total, err
	}
}

func (p *pipe) close() {
	p.in.Close()
	p.out.Close()
}
