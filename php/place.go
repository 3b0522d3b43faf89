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
	worker  *worker // nil: none is ready, and the place counts as starting
	surplus bool    // the place ends with its worker
	failed  error   // why the last start failed
}

// add makes a place. ready, if not nil, gets the outcome of its first start;
// after a failure the place is gone.
func (p *Pool) add(ready chan<- error) *place {
	pl := new(place)
	p.places[pl] = struct{}{}
	p.starting++
	p.keepers.Go(func() { p.keep(pl, ready) })
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
}

// grow adds places while calls wait: about as many at a time as there are
// cores, since a start takes one of them for a while. refused is how many calls
// would wait if they might.
func (p *Pool) grow(refused int) {
	for p.lasting() < p.opt.MaxWorkers && !p.closed &&
		p.starting < min(p.queue.len()+refused, max(2, runtime.GOMAXPROCS(0))) && time.Now().After(p.noGrowth) {
		p.add(nil)
	}
}

// keep fills a place with one worker after another.
func (p *Pool) keep(pl *place, ready chan<- error) {
	defer p.remove(pl)
	for failures := 0; ; {
		w, err := p.startWorker()
		if err == nil {
			p.settle(pl, w)
		}
		if ready != nil {
			ready <- err
			if err != nil {
				return
			}
			ready = nil
		}
		if err == nil {
			<-w.gone
			again, served := p.vacate(pl, w)
			if !again {
				return
			}
			if served {
				failures = 0
				continue
			}
			w.log.Error("worker ended without having served a request")
		} else if !p.failedStart(pl, err) {
			return
		}
		failures++
		delay := min(backoffFirst<<min(failures-1, 16), backoffMost)
		if err != nil {
			p.log.Error("worker can't start; trying again", "error", err, "delay", delay)
		}
		select {
		case <-time.After(delay):
		case <-p.ctx.Done():
			return
		}
	}
}

// settle puts a worker that is ready into its place, and at the pool's service.
func (p *Pool) settle(pl *place, w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting--
	p.counts.Started++
	p.takesHTTP = w.takesHTTP
	pl.worker, pl.failed, w.place = w, nil, pl
	if p.closed || pl.surplus || w.generation != p.generation {
		p.part(w, departStop)
	}
	if w.parted { // or it has ended already
		w.busy = false
		p.closePipes(w)
		return
	}
	p.offer(w)
	p.grow(0)
}

// vacate takes a worker that is gone out of its place. It reports whether the
// place is to be filled again, and whether the worker did what it was for.
func (p *Pool) vacate(pl *place, w *worker) (again, served bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.worker = nil
	p.starting++
	return !p.closed && !pl.surplus, w.requests > 0 || w.busy || w.how == departStop
}

// failedStart reports whether a place is to be tried again after a failed start.
// One that was added under load isn't: there is no use in more of a kind.
func (p *Pool) failedStart(pl *place, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.failed = err
	if p.closed || pl.surplus {
		return false
	}
	if p.lasting() > p.opt.MinWorkers {
		p.log.Error("worker can't start", "error", err)
		p.noGrowth = time.Now().Add(growthPause)
		return false
	}
	return true
}

func (p *Pool) remove(pl *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.places, pl)
	p.starting--
	if p.started && !p.closed && p.lasting() < p.opt.MinWorkers {
		p.add(nil)
	}
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
			switch {
			case extra > 0 && time.Since(w.since) >= p.opt.IdleTimeout:
				extra--
				p.retire(w.place)
			case w.maxAge > 0 && time.Since(w.born) >= w.maxAge:
				p.part(w, departStop)
			default:
				i++
			}
		}
		p.mu.Unlock()
	}
}

// Replace puts a new worker in the place of each one that is there now, one
// after the other: a new one is started, and when it is ready, an old one ends
// after its call. The script is looked up anew. If a new worker fails to start,
// the old ones that are left stay, and Replace returns why.
func (p *Pool) Replace(ctx context.Context) error {
	p.replacing.Lock()
	defer p.replacing.Unlock()
	p.mu.Lock()
	p.generation++ // what is starting now ends once it is ready
	var old []*worker
	for pl := range p.places {
		if pl.worker != nil && !pl.surplus {
			old = append(old, pl.worker)
		}
	}
	p.mu.Unlock()
	for _, w := range old {
		ready := make(chan error, 1)
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return ErrClosed
		}
		if w.parted || w.place.surplus { // its place has a newer one, or none is wanted
			p.mu.Unlock()
			continue
		}
		added := p.add(ready)
		p.mu.Unlock()
		select {
		case err := <-ready:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			p.mu.Lock()
			p.retire(added)
			p.mu.Unlock()
			return context.Cause(ctx)
		}
		p.mu.Lock()
		if w.parted || w.place.surplus { // meanwhile: so the pool has one too many
			p.retire(added)
		} else {
			p.retire(w.place)
		}
		p.mu.Unlock()
	}
	return nil
}
