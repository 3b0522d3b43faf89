package php

import "time"

// recycle replaces the expired workers, one after the other. Each goes on until
// its replacement is ready. If a replacement is in progress already, or there is
// no room for another process, recycle leaves them for the next time.
func (p *Pool) recycle() {
	if p.closed || p.outgoing() >= p.opt.MaxWorkers || time.Now().Before(p.noGrowth) {
		return
	}
	select {
	case p.replacing <- struct{}{}:
	default:
		return
	}
	p.tasks.Go(func() {
		if err := p.recycleOne(); err != nil && p.ctx.Err() == nil {
			p.log.Error("expired worker can't be replaced; it goes on", "error", err)
		}
	})
}

// recycleOne replaces an expired worker, and starts the replacement of the next
// one.
func (p *Pool) recycleOne() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.expiredSlot()
	var err error
	if s != nil && !p.closed {
		err = p.handOver(p.ctx, s)
	}
	<-p.replacing // Replace may come in between
	if s != nil && err == nil {
		p.recycle()
	}
	return err
}

// expiredSlot returns a slot whose worker is expired, nil if there is none.
func (p *Pool) expiredSlot() *slot {
	for s := range p.slots {
		if s.worker != nil && !s.retired && s.worker.expired() {
			return s
		}
	}
	return nil
}

// maintain ends workers that were idle for too long, and replaces expired ones,
// until the pool is closed.
func (p *Pool) maintain() {
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
		extra := p.activeSlots() - p.opt.MinWorkers
		for i := 0; i < len(p.idle); {
			w := p.idle[i] // the first ones are idle for the longest time
			if extra > 0 && !w.slot.retired && time.Since(w.since) >= p.opt.IdleTimeout {
				extra--
				p.retireSlot(w.slot, EndedIdle)
				continue
			}
			i++
			if w.expired() {
				p.recycle()
			}
		}
		p.mu.Unlock()
	}
}
