package php

import "context"

// Replace replaces the worker of every slot with one of the current script, one
// after the other: it starts a new worker, and when that is ready, the old one
// ends after its call. The path of the script is resolved anew. A slot whose
// worker failed to start is tried again immediately. If a new worker fails to
// start, the old ones that are left stay, and Replace returns the error.
//
// At most MaxWorkers old workers finish their calls at a time; beyond that
// Replace waits for them. Before Start has returned, Replace only makes sure that
// Start starts the new script.
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
	p.generation++ // a worker that is starting now ends when it is ready
	var slots []*slot
	for s := range p.slots {
		if p.started {
			slots = append(slots, s)
		}
	}
	p.mu.Unlock()
	for _, s := range slots {
		if err := p.replaceSlot(ctx, s); err != nil {
			return err
		}
	}
	p.leaks.reset() // those of the old script may be gone
	return nil
}

// replaceSlot makes sure that a slot, or another one in its place, has a worker
// of the pool's generation.
func (p *Pool) replaceSlot(ctx context.Context, s *slot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.awaitChange(ctx, func() bool { return s.worker == nil || p.outgoing() < p.opt.MaxWorkers }); err != nil {
		return err
	}
	if _, exists := p.slots[s]; !exists || s.retired || s.worker != nil && s.worker.generation == p.generation {
		return nil
	}
	if s.worker != nil {
		return p.handOver(ctx, s)
	}
	started := make(chan error, 1)
	s.started = started
	select {
	case s.wake <- struct{}{}:
	default:
	}
	err, _ := p.awaitStart(ctx, started)
	return err
}

// handOver adds a slot whose worker takes over from that of an old slot. The
// caller holds the mutex, and has made sure that there is room for another
// process.
func (p *Pool) handOver(ctx context.Context, old *slot) error {
	started := make(chan error, 1)
	added := p.addSlot(started)
	added.replaces, old.retired = old, true // the old one goes on until the new one is ready
	err, came := p.awaitStart(ctx, started)
	if !came && added.replaces != nil {
		p.cancelHandover(added)
		p.retireSlot(added, EndedReplaced)
	}
	return err
}

// cancelHandover keeps the slot that another one should replace, if it still has
// its worker.
func (p *Pool) cancelHandover(s *slot) {
	if _, exists := p.slots[s.replaces]; exists {
		s.replaces.retired = false
	}
	s.replaces = nil
}

// awaitStart waits for the result of a start, and reports whether it came before
// the context ended. It releases the mutex, which the caller holds, meanwhile.
func (p *Pool) awaitStart(ctx context.Context, started <-chan error) (err error, came bool) {
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case err := <-started:
		return err, true
	case <-ctx.Done():
		return context.Cause(ctx), false
	}
}

// outgoing returns the number of processes that end soon or are ending.
func (p *Pool) outgoing() int { return len(p.slots) - p.activeSlots() + len(p.exiting) }
