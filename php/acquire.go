package php

import (
	"context"
	"time"
)

// acquire returns a worker, which is busy then. It waits for one in the client's
// turn.
func (p *Pool) acquire(ctx context.Context, t task, until time.Time) (*worker, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.take(w, t)
		p.mu.Unlock()
		p.waits.Observe(0)
		return w, nil
	}
	wt := waiters.Get().(*waiter)
	joined, evicted := p.queue.Join(wt, &wt.turn, t.client)
	if !joined {
		p.grow(1)
		p.counts.QueueFull++
		p.mu.Unlock()
		wt.forget()
		return nil, ErrQueueFull
	}
	wt.task = t
	if evicted != nil {
		p.counts.QueueFull++
		evicted.outcome <- outcome{err: ErrQueueFull}
	}
	p.grow(0)
	p.mu.Unlock()
	return p.wait(ctx, wt, until)
}

// wait waits for the outcome of a waiter, which nobody has after it.
func (p *Pool) wait(ctx context.Context, wt *waiter, until time.Time) (*worker, error) {
	defer wt.forget()
	began := time.Now()
	defer func() { p.waits.Observe(time.Since(began)) }()
	o, err := wt.await(ctx, began, until)
	if err == nil {
		return o.worker, o.err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue.Leave(&wt.turn) {
		if err == ErrQueueTimeout {
			p.counts.QueueTimeouts++
		}
		return nil, err
	}
	o = <-wt.outcome // it came meanwhile
	return o.worker, o.err
}

// await waits for the outcome until a time, or the end of a context. Most waits are
// short, so that the context is watched only in a long one.
func (wt *waiter) await(ctx context.Context, now, until time.Time) (outcome, error) {
	first := min(patience, until.Sub(now))
	if d, ok := ctx.Deadline(); ok {
		first = min(first, d.Sub(now))
	}
	wt.timer.Reset(first)
	defer wt.timer.Stop()
	var ended <-chan struct{}
	for {
		select {
		case o := <-wt.outcome:
			return o, nil
		case <-ended:
			return outcome{}, context.Cause(ctx)
		case <-wt.timer.C:
		}
		left := time.Until(until)
		if left <= 0 {
			return outcome{}, ErrQueueTimeout
		}
		ended = ctx.Done()
		wt.timer.Reset(left)
	}
}

// take marks a worker as busy.
func (p *Pool) take(w *worker, t task) {
	w.busy, w.since, w.task = true, time.Now(), t
	p.busy++
}

// offer gives a worker to the next call that waits, or makes it idle.
func (p *Pool) offer(w *worker) {
	w.busy, w.since, w.task = false, time.Now(), task{}
	if wt := p.queue.Next(); wt != nil {
		p.take(w, wt.task)
		wt.outcome <- outcome{worker: w}
		return
	}
	p.idle = append(p.idle, w)
}

// release returns a worker to the pool after its use. If it is evicted although it
// works, release returns the reason.
func (p *Pool) release(w *worker, how eviction) (reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	w.worksOn = false
	w.memory = w.memoryUsed
	why := endingOf(how)
	if how == keep && !w.evicted {
		if why, reason = p.spent(w); reason != "" {
			how = evictStop
		} else if w.expired() {
			p.recycle()
		}
	}
	if how == keep && !w.evicted {
		p.offer(w)
	} else {
		if w.requests == 0 {
			w.busy = false // so that the slot backs off
		}
		p.evict(w, how, why)
		w.busy = false
		p.closePipes(w)
	}
	if p.closed && p.busy == 0 {
		close(p.drained)
	}
	return reason
}

// spent returns why a worker can't serve another call, "" if it can.
func (p *Pool) spent(w *worker) (why Ending, reason string) {
	switch {
	case p.closed:
		return EndedShutdown, "the pool is shut down"
	case w.draining:
		return w.drainedFor, "it is drained"
	case w.mostRequests > 0 && w.requests >= w.mostRequests:
		return EndedMaxRequests, "max_requests"
	case p.opt.MemoryLimit > 0 && w.memory > p.opt.MemoryLimit:
		return EndedMemory, "memory_limit"
	}
	return 0, ""
}
