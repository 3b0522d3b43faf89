package php

import (
	"slices"
	"syscall"
	"time"
)

// departure is how a worker leaves its pool.
type departure int

const (
	stay       departure = iota
	departStop           // it is in order: its calls end, and so does it
	departTerm           // it hangs: SIGTERM, then SIGKILL
	departKill           // it is broken: SIGKILL
)

const (
	stopGrace = 5 * time.Second // for a worker that may end by itself
	termGrace = time.Second     // between SIGTERM and SIGKILL
	exitGrace = time.Second     // for what an ended worker left in its pipes
)

// part has a worker leave the pool. Only the first departure counts.
func (p *Pool) part(w *worker, how departure) {
	if w.parted {
		return
	}
	w.parted, w.how = true, how
	p.leaving = append(p.leaving, w)
	if pl := w.place; pl != nil {
		pl.worker = nil
		if pl.surplus {
			delete(p.places, pl)
		}
	}
	if i := slices.Index(p.idle, w); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	w.leave <- how
	close(w.gone)
}

// watch waits for the end of a worker's process, and brings it about when the
// worker leaves the pool.
func (p *Pool) watch(w *worker) {
	select {
	case <-w.proc.Exited():
	case how := <-w.leave:
		p.end(w.proc, how)
	}
	p.processEnded(w)
	w.proc.AwaitOutput() // its last words are logged before the pool is shut down
}

// processEnded is called when a worker's process has ended.
func (p *Pool) processEnded(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.ended = true
	p.part(w, departKill)
	p.leaving = slices.DeleteFunc(p.leaving, func(other *worker) bool { return other == w })
	p.changed.Broadcast()
	p.closePipes(w)
	if w.busy { // who uses it may read what is left; a child of it could hold the pipe open for ever
		time.AfterFunc(exitGrace, w.pipe.close)
	}
}

// end ends a process.
func (p *Pool) end(proc *phpProcess, how departure) {
	if how == departStop {
		proc.stop()
		if p.exits(proc, stopGrace) {
			return
		}
	}
	if how != departKill {
		proc.Signal(syscall.SIGTERM)
		if p.exits(proc, termGrace) {
			return
		}
	}
	proc.Kill()
	<-proc.Exited()
}

// exits waits for the end of a process.
func (p *Pool) exits(proc *phpProcess, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-proc.Exited():
		return true
	case <-p.hurry:
	case <-timer.C:
	}
	return false
}

// finish ends the use of a worker that isn't in the pool.
func (p *Pool) finish(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.busy = false
	p.closePipes(w)
}

// closePipes closes a worker's pipes once its process has ended and nobody
// reads what it left in them.
func (p *Pool) closePipes(w *worker) {
	if w.ended && !w.busy {
		w.pipe.close()
	}
}
