package php

import (
	"context"
	"time"
)

// Between attempts to fill a slot whose worker doesn't last.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 30 * time.Second
)

// slot is a worker slot of a pool. Its goroutine keeps it filled.
type slot struct {
	wake chan struct{} // ends a backoff

	// Guarded by the pool's mutex.
	worker     *worker      // nil: none is ready
	backingOff bool         // until the next attempt to start a worker
	retired    bool         // the slot ends with its worker
	trial      bool         // the slot ends if its first worker doesn't start
	replaces   *slot        // ends once this one has a worker
	startError error        // of the last start
	started    chan<- error // gets the result of the next start, if not nil
}

// addSlot adds a slot. started, if not nil, gets the result of its first start;
// if that failed, the slot ends.
func (p *Pool) addSlot(started chan<- error) *slot {
	s := &slot{wake: make(chan struct{}, 1), trial: started != nil, started: started}
	p.slots[s] = struct{}{}
	p.tasks.Go(func() { p.fill(s) })
	return s
}

// retireSlot ends a slot once its worker has no call.
func (p *Pool) retireSlot(s *slot, why Ending) {
	s.retired = true
	if w := s.worker; w != nil && w.busy {
		w.draining, w.drainedFor = true, why
	} else if w != nil {
		p.evict(w, evictStop, why)
	}
	p.changed.Broadcast()
}

// fill fills a slot with one worker after another.
func (p *Pool) fill(s *slot) {
	defer p.removeSlot(s)
	for failures := 0; ; {
		generation, ok := p.awaitRoom(s)
		if !ok {
			return
		}
		w, err := p.startWorker(generation)
		if err == nil {
			p.admit(s, w)
			<-w.done
			if p.served(w) {
				failures = 0
				continue
			}
			w.log.Error("worker ended without having served a request", "reason", w.proc.exitReason("before a request", exitGrace))
		} else {
			next := p.afterFailedStart(s, generation, err)
			if next == startNever {
				if !s.trial && p.ctx.Err() == nil { // nobody waits for the error
					p.log.Error("worker can't start", "error", err)
				}
				return
			}
			if next == startNow {
				failures = 0
				continue
			}
		}
		delay := min(backoffFirst<<min(failures, 16), backoffMost)
		failures++
		if err != nil {
			p.log.Error("worker can't start; trying again", "error", err, "delay", delay)
		}
		if p.backOff(s, delay) {
			failures = 0
		}
	}
}

// awaitRoom waits until a slot may have another process, and returns the
// generation of that process. It returns false if the slot is retired.
//
// There are never more than twice MaxWorkers processes. To keep to that,
// awaitRoom kills those that have been ending for the longest time.
func (p *Pool) awaitRoom(s *slot) (generation int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.awaitChange(p.ctx, func() bool {
		over := len(p.slots) + len(p.exiting) - 2*p.opt.MaxWorkers
		over = max(0, min(over, len(p.exiting)))
		for _, w := range p.exiting[:over] {
			w.proc.Kill()
		}
		return over == 0 || s.retired
	})
	return p.generation, err == nil && !s.retired
}

// awaitChange waits until ok returns true. The caller holds the mutex.
func (p *Pool) awaitChange(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer stop()
	for {
		switch {
		case p.closed:
			return ErrClosed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case ok():
			return nil
		}
		p.changed.Wait()
	}
}

// admit puts a worker that is ready into its slot and offers it for calls.
func (p *Pool) admit(s *slot, w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Started++
	p.takesHTTP, p.partsPerForm = w.takesHTTP, w.partsPerForm
	stale := w.generation != p.generation
	if !w.evicted { // it may have ended already
		s.worker, w.slot = w, s
	}
	if p.closed || s.retired || stale {
		p.evict(w, evictStop, EndedReplaced)
	}
	if !stale {
		s.startError, p.startError, s.trial = nil, nil, false
		s.reportStart(nil)
	}
	if w.evicted {
		w.busy = false
		p.closePipes(w)
		return
	}
	p.offer(w)
	if s.replaces != nil {
		p.retireSlot(s.replaces, s.replaces.expiry())
		s.replaces = nil
	}
	p.grow(0)
}

// reportStart sends the result of a start, if somebody waits for it.
func (s *slot) reportStart(err error) {
	if s.started != nil {
		s.started <- err
		s.started = nil
	}
}

// served reports whether an evicted worker served a request, or was stopped.
func (p *Pool) served(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return w.requests > 0 || w.busy || w.how == evictStop
}

// nextStart is when a worker is started in a slot whose worker failed to start.
type nextStart int

const (
	startLater nextStart = iota
	startNow
	startNever
)

// afterFailedStart returns when the next worker of a slot is started. A slot that
// was added under load ends: its next worker would fail, too.
func (p *Pool) afterFailedStart(s *slot, generation int, err error) nextStart {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || s.retired {
		return startNever
	}
	if generation != p.generation {
		return startNow // the script may be fixed
	}
	s.startError = err
	s.reportStart(err)
	if s.trial || p.activeSlots() > p.opt.MinWorkers {
		p.startError = err
		p.cancelHandover(s)
		p.pauseGrowth()
		return startNever
	}
	return startLater
}

// backOff waits before the next attempt to fill a slot, and reports whether it
// was woken early.
func (p *Pool) backOff(s *slot, delay time.Duration) (woken bool) {
	set := func(backingOff bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		s.backingOff = backingOff
		p.grow(0) // the slot doesn't count as starting any more
	}
	set(true)
	defer set(false)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	case <-s.wake:
		return true
	}
	return false
}

func (p *Pool) removeSlot(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.slots, s)
	s.reportStart(ErrClosed)
	if p.started && !p.closed && p.activeSlots() < p.opt.MinWorkers {
		p.addSlot(nil)
	}
	p.changed.Broadcast()
}

// activeSlots returns the number of slots that aren't retired.
func (p *Pool) activeSlots() (n int) {
	for s := range p.slots {
		if !s.retired {
			n++
		}
	}
	return n
}

// startingSlots returns the number of slots whose worker is starting.
func (p *Pool) startingSlots() (n int) {
	for s := range p.slots {
		if s.worker == nil && !s.backingOff {
			n++
		}
	}
	return n
}
