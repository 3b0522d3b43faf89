package php

import (
	"slices"
	"syscall"
	"time"
)

// eviction is how a worker is evicted from its pool.
type eviction int

const (
	keep      eviction = iota // it isn't
	evictStop                 // it works: STOP, then it may take some time
	evictTerm                 // it hangs: SIGTERM, then SIGKILL
	evictKill                 // it is broken: SIGKILL
	worksOn                   // it isn't yet: it works on after its response
)

const (
	stopGrace = 5 * time.Second // for a worker that ends by itself
	termGrace = time.Second     // between SIGTERM and SIGKILL
	exitGrace = time.Second     // for reading what an ended worker wrote
)

// evict removes a worker from the pool and ends its process. Only the first
// eviction of a worker counts.
func (p *Pool) evict(w *worker, how eviction, why Ending) {
	if w.evicted {
		return
	}
	w.evicted, w.how = true, how
	p.counts.Ended[why]++
	p.exiting = append(p.exiting, w)
	if s := w.slot; s != nil {
		s.worker = nil
		if s.retired {
			delete(p.slots, s)
		}
	}
	if i := slices.Index(p.idle, w); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	w.evictions <- how
	close(w.done)
}

// supervise waits for the end of a worker's process, and ends it when the worker
// is evicted.
func (p *Pool) supervise(w *worker) {
	select {
	case <-w.proc.Exited():
	case how := <-w.evictions:
		p.endProcess(w.proc, how)
	}
	p.processExited(w)
	w.proc.AwaitOutput() // before the pool is shut down
}

// processExited is called when a worker's process has ended.
func (p *Pool) processExited(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.exited = true
	p.evict(w, evictKill, EndedCrash)
	p.exiting = slices.DeleteFunc(p.exiting, func(other *worker) bool { return other == w })
	p.changed.Broadcast()
	p.closePipes(w)
	if w.busy { // its user may read what is left; a child of it could hold the pipe open for ever
		time.AfterFunc(exitGrace, w.pipe.close)
	}
}

// endProcess ends a process, and waits for its end.
func (p *Pool) endProcess(proc *phpProcess, how eviction) {
	if how == evictStop {
		proc.stop()
		if p.exitsWithin(proc, stopGrace) {
			return
		}
	}
	if how != evictKill {
		proc.Signal(syscall.SIGTERM)
		if p.exitsWithin(proc, termGrace) {
			return
		}
	}
	proc.Kill()
	<-proc.Exited()
}

// exitsWithin waits for the end of a process, and reports whether it came in
// time.
func (p *Pool) exitsWithin(proc *phpProcess, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-proc.Exited():
		return true
	case <-p.killNow:
	case <-timer.C:
	}
	return false
}

// discard ends the use of a worker that never joined the pool.
func (p *Pool) discard(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.busy = false
	p.closePipes(w)
}

// closePipes closes a worker's pipes once its process has ended and nobody reads
// what is left in them.
func (p *Pool) closePipes(w *worker) {
	if w.exited && !w.busy {
		w.pipe.close()
	}
}
