package php

import (
	"context"
	"runtime"
	"time"
)

// Between attempts to fill a place whose worker doesn't last.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 30 * time.Second
	growthPause  = 5 * time.Second // after a worker that was added failed to start
)

// place is a worker's place in a pool. Its goroutine keeps it filled.
type place struct {
	wake chan struct{} // ends a wait for the next attempt

	// Guarded by the pool's mutex.
	worker  *worker      // nil: none is ready
	resting bool         // it waits for the next attempt to start one
	surplus bool         // the place ends with its worker
	trial   bool         // the place ends if its first worker doesn't start
	instead *place       // ends once this one has a worker
	failed  error        // why the last start failed
	outcome chan<- error // gets how the next start goes, if somebody waits for it
}

// add makes a place. outcome, if not nil, gets how its first start goes; after
// a failure the place is gone then.
func (p *Pool) add(outcome chan<- error) *place {
	pl := &place{wake: make(chan struct{}, 1), trial: outcome != nil, outcome: outcome}
	p.places[pl] = struct{}{}
	p.keepers.Go(func() { p.keep(pl) })
	return pl
}

// retire ends a place, once its worker has no call.
func (p *Pool) retire(pl *place) {
	pl.surplus = true
	if w := pl.worker; w != nil && w.busy {
		w.retiring = true
	} else if w != nil {
		p.part(w, departStop)
	}
	p.changed.Broadcast()
}

// grow adds places while calls wait: about as many at a time as there are
// cores, since a start takes one of them for a while. refused is how many calls
// would wait if they might.
func (p *Pool) grow(refused int) {
	if !p.started || p.closed || time.Now().Before(p.noGrowth) {
		return
	}
	lasting, starting := p.lasting(), p.starting()
	for lasting < p.opt.MaxWorkers && starting < min(p.queue.len()+refused, max(2, runtime.GOMAXPROCS(0))) {
		p.add(nil)
		lasting, starting = lasting+1, starting+1
	}
}

// pauseGrowth has no worker added for a while: the next would fail like the
// last one.
func (p *Pool) pauseGrowth() {
	p.noGrowth = time.Now().Add(growthPause)
	time.AfterFunc(growthPause, func() { // calls may wait, and no other come to ask for it
		p.mu.Lock()
		defer p.mu.Unlock()
		p.grow(0)
	})
}

// keep fills a place with one worker after another.
func (p *Pool) keep(pl *place) {
	defer p.remove(pl)
	for failures := 0; ; {
		generation, ok := p.room(pl)
		if !ok {
			return
		}
		w, err := p.startWorker(generation)
		if err == nil {
			p.settle(pl, w)
			<-w.gone
			if p.served(w) {
				failures = 0
				continue
			}
			w.log.Error("worker ended without having served a request", "reason", w.proc.lost("before a request", exitGrace))
		} else {
			next := p.failedStart(pl, generation, err)
			if next == startNever {
				if !pl.trial && p.ctx.Err() == nil { // nobody else is told
					p.log.Error("worker can't start", "error", err)
				}
				return
			}
			if next == startAtOnce {
				failures = 0
				continue
			}
		}
		delay := min(backoffFirst<<min(failures, 16), backoffMost)
		failures++
		if err != nil {
			p.log.Error("worker can't start; trying again", "error", err, "delay", delay)
		}
		if p.rest(pl, delay) {
			failures = 0
		}
	}
}

// room waits until a place may have another process, and returns the generation
// that it will be of. It is refused if the place isn't wanted any more.
//
// There are never more than twice MaxWorkers processes. To keep to that, it
// ends those that take the longest to leave.
func (p *Pool) room(pl *place) (generation int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.await(p.ctx, func() bool {
		over := len(p.places) + len(p.leaving) - 2*p.opt.MaxWorkers
		over = max(0, min(over, len(p.leaving)))
		for _, w := range p.leaving[:over] {
			w.proc.Kill()
		}
		return over == 0 || pl.surplus
	})
	return p.generation, err == nil && !pl.surplus
}

// await waits for a change that makes ok true. The caller holds the mutex.
func (p *Pool) await(ctx context.Context, ok func() bool) error {
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

// settle puts a worker that is ready into its place, and at the pool's service.
func (p *Pool) settle(pl *place, w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Started++
	p.takesHTTP = w.takesHTTP
	stale := w.generation != p.generation
	if !w.parted { // if it hasn't ended already
		pl.worker, w.place = w, pl
	}
	if p.closed || pl.surplus || stale {
		p.part(w, departStop)
	}
	if !stale {
		pl.failed, p.failed, pl.trial = nil, nil, false
		pl.report(nil)
	}
	if w.parted {
		w.busy = false
		p.closePipes(w)
		return
	}
	p.offer(w)
	if pl.instead != nil {
		p.retire(pl.instead)
		pl.instead = nil
	}
	p.grow(0)
}

// report tells who waits for it how a start went.
func (pl *place) report(err error) {
	if pl.outcome != nil {
		pl.outcome <- err
		pl.outcome = nil
	}
}

// served reports whether a worker that is gone did what it was for.
func (p *Pool) served(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return w.requests > 0 || w.busy || w.how == departStop
}

// When a place whose worker failed to start is to be tried again.
type nextStart int

const (
	startLater nextStart = iota
	startAtOnce
	startNever
)

// failedStart tells when a place is to be tried again after a failed start. One
// that was added under load isn't: there is no use in more of a kind.
func (p *Pool) failedStart(pl *place, generation int, err error) nextStart {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || pl.surplus {
		return startNever
	}
	if generation != p.generation {
		return startAtOnce // the script may be mended
	}
	pl.failed = err
	pl.report(err)
	if pl.trial || p.lasting() > p.opt.MinWorkers {
		p.failed = err
		p.keepOld(pl)
		p.pauseGrowth()
		return startNever
	}
	return startLater
}

// rest waits before the next attempt to fill a place, and reports whether it
// was cut short.
func (p *Pool) rest(pl *place, delay time.Duration) (woken bool) {
	set := func(resting bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		pl.resting = resting
		p.grow(0) // it isn't starting any more
	}
	set(true)
	defer set(false)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	case <-pl.wake:
		return true
	}
	return false
}

func (p *Pool) remove(pl *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.places, pl)
	pl.report(ErrClosed)
	if p.started && !p.closed && p.lasting() < p.opt.MinWorkers {
		p.add(nil)
	}
	p.changed.Broadcast()
}

// lasting counts the places that don't end with their worker.
func (p *Pool) lasting() (n int) {
	for pl := range p.places {
		if !pl.surplus {
			n++
		}
	}
	return n
}

// starting counts the places that have a process whose script isn't ready.
func (p *Pool) starting() (n int) {
	for pl := range p.places {
		if pl.worker == nil && !pl.resting {
			n++
		}
	}
	return n
}

// tend ends workers that are idle for too long, or too old, until the pool is
// closed.
func (p *Pool) tend() {
	period := p.opt.IdleTimeout / 2
	if p.opt.MaxAge > 0 {
		period = min(period, p.opt.MaxAge/2)
	}
	ticker := time.NewTicker(max(period, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		extra := p.lasting() - p.opt.MinWorkers
		for i := 0; i < len(p.idle); {
			w := p.idle[i] // those in front are idle the longest
			if extra > 0 && !w.place.surplus && time.Since(w.since) >= p.opt.IdleTimeout {
				extra--
				p.retire(w.place)
				continue
			}
			i++
			if w.old() {
				p.recycle()
			}
		}
		p.mu.Unlock()
	}
}
