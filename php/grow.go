package php

import (
	"time"

	"mkd/cores"
)

// growthPause is how long no worker is added after one that was added failed to
// start.
const growthPause = 5 * time.Second

// grow adds slots while calls wait. About as many workers as there are cores
// start at a time, since a start takes a core for a while. refused is the number
// of calls that found no room in the queue.
func (p *Pool) grow(refused int) {
	if !p.started || p.closed || time.Now().Before(p.noGrowth) {
		return
	}
	active, starting := p.activeSlots(), p.startingSlots()
	for active < p.opt.MaxWorkers && starting < min(p.queue.Len()+refused, max(2, cores.Count())) {
		p.addSlot(nil)
		active, starting = active+1, starting+1
	}
}

// pauseGrowth adds no workers for a while: the next one would fail like the last.
func (p *Pool) pauseGrowth() {
	p.noGrowth = time.Now().Add(growthPause)
	time.AfterFunc(growthPause, func() { // calls may wait without another one to grow the pool
		p.mu.Lock()
		defer p.mu.Unlock()
		p.grow(0)
	})
}
