package php

import (
	"context"
	"time"
)

// Replace has a worker of the script as it is now in every place, one after the
// other: a new one is started, and when it is ready, the old one ends after its
// call. The script is looked up anew. A place whose worker didn't start is tried
// again at once. If a new worker fails to start, the old ones that are left
// stay, and Replace returns why.
//
// Old workers that still have calls are at most MaxWorkers; after that Replace
// waits for them. Before the end of Start it only sees to it that Start is about
// the new script.
func (p *Pool) Replace(ctx context.Context) error {
	select {
	case p.replacing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.ctx.Done():
		return ErrClosed
	}
	defer func() { <-p.replacing }()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	p.generation++ // what is starting now ends once it is ready
	var places []*place
	for pl := range p.places {
		if p.started {
			places = append(places, pl)
		}
	}
	p.mu.Unlock()
	for _, pl := range places {
		if err := p.renew(ctx, pl); err != nil {
			return err
		}
	}
	return nil
}

// renew sees to it that a place, or another one instead of it, has a worker of
// the pool's generation.
func (p *Pool) renew(ctx context.Context, pl *place) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.await(ctx, func() bool { return pl.worker == nil || p.outgoing() < p.opt.MaxWorkers }); err != nil {
		return err
	}
	if _, there := p.places[pl]; !there || pl.surplus || pl.worker != nil && pl.worker.generation == p.generation {
		return nil
	}
	if pl.worker != nil {
		return p.swap(ctx, pl)
	}
	outcome := make(chan error, 1)
	pl.outcome = outcome
	select {
	case pl.wake <- struct{}{}:
	default:
	}
	err, _ := p.learn(ctx, outcome)
	return err
}

// swap has another place, with a new worker, take over from one. The caller
// holds the mutex, and has made sure that there is room for another process.
func (p *Pool) swap(ctx context.Context, old *place) error {
	outcome := make(chan error, 1)
	added := p.add(outcome)
	added.instead, old.surplus = old, true // and goes on until it is relieved
	err, over := p.learn(ctx, outcome)
	if !over && added.instead != nil {
		p.keepOld(added)
		p.retire(added)
	}
	return err
}

// keepOld lets the place that another should take over from stay what it was,
// if it still has its worker.
func (p *Pool) keepOld(pl *place) {
	if _, there := p.places[pl.instead]; there {
		pl.instead.surplus = false
	}
	pl.instead = nil
}

// learn waits, without the mutex that the caller holds, for the outcome of a
// start, and reports whether it came.
func (p *Pool) learn(ctx context.Context, outcome <-chan error) (err error, came bool) {
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case err := <-outcome:
		return err, true
	case <-ctx.Done():
		return context.Cause(ctx), false
	}
}

// outgoing counts the processes that are on their way out.
func (p *Pool) outgoing() int { return len(p.places) - p.lasting() + len(p.leaving) }

// recycle has the workers replaced that have served long enough, one after the
// other. Each goes on until its new one is ready. If a replacement is under way,
// or there is no room for a further process, it leaves them for the next time.
func (p *Pool) recycle() {
	if p.closed || p.outgoing() >= p.opt.MaxWorkers || time.Now().Before(p.noGrowth) {
		return
	}
	select {
	case p.replacing <- struct{}{}:
	default:
		return
	}
	p.keepers.Go(func() {
		if err := p.recycleOne(); err != nil && p.ctx.Err() == nil {
			p.log.Error("a worker that has served long enough can't be replaced; it goes on", "error", err)
		}
	})
}

// recycleOne replaces a worker that has served long enough, and sees to it that
// the next one is.
func (p *Pool) recycleOne() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl := p.oldPlace()
	var err error
	if pl != nil && !p.closed {
		err = p.swap(p.ctx, pl)
	}
	<-p.replacing // Replace may come in between
	if pl != nil && err == nil {
		p.recycle()
	}
	return err
}

// oldPlace returns a place whose worker has served long enough, if there is one.
func (p *Pool) oldPlace() *place {
	for pl := range p.places {
		if pl.worker != nil && !pl.surplus && pl.worker.old() {
			return pl
		}
	}
	return nil
}
