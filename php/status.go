package php

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Counts are a pool's, since its start.
type Counts struct {
	Requests      int64 // that a worker had
	ScriptErrors  int64 // that ended with a *ScriptError
	WorkerErrors  int64 // that ended with a *WorkerError
	Timeouts      int64 // that ended with ErrTimeout or the context
	QueueFull     int64 // refused with ErrQueueFull
	QueueTimeouts int64 // refused with ErrQueueTimeout
	Started       int64 // workers that became ready
}

// Status is the state of a pool.
type Status struct {
	Workers  []WorkerStatus // those that are ready, by process id
	Starting int            // places whose worker isn't ready: it starts, or failed and is tried again later
	Leaving  int            // processes that have left the pool, and haven't ended
	Waiting  int            // calls that wait for a worker
	Failure  error          // why the last start of a worker failed, if it isn't mended
	Counts   Counts
}

// WorkerStatus is the state of a worker.
type WorkerStatus struct {
	PID      int
	Busy     bool
	For      time.Duration // in that state: the age of the current call, if Busy
	Age      time.Duration
	Requests int64 // calls that it had
	Memory   int64 // bytes that PHP took from the system, as of the last call
}

// Status returns the state of the pool and of every worker.
func (p *Pool) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := Status{Leaving: len(p.leaving), Waiting: p.queue.len(), Failure: p.failed, Counts: p.counts}
	for pl := range p.places {
		if pl.failed != nil {
			s.Failure = pl.failed
		}
		if w := pl.worker; w == nil {
			s.Starting++
		} else {
			s.Workers = append(s.Workers, WorkerStatus{
				PID:      w.proc.PID,
				Busy:     w.busy,
				For:      now.Sub(w.since),
				Age:      now.Sub(w.born),
				Requests: w.requests,
				Memory:   w.memory,
			})
		}
	}
	slices.SortFunc(s.Workers, func(a, b WorkerStatus) int { return cmp.Compare(a.PID, b.PID) })
	return s
}

// count counts a call that a worker had, and how it ended.
func (p *Pool) count(w *worker, how departure, err error) {
	var script *ScriptError
	var broken *WorkerError
	var unsent *unsentError
	if errors.As(err, &unsent) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.requests++
	p.counts.Requests++
	switch {
	case errors.As(err, &script):
		p.counts.ScriptErrors++
	case errors.As(err, &broken):
		p.counts.WorkerErrors++
	case how == departTerm:
		p.counts.Timeouts++
	}
}

// report logs what became of a worker after its use, if it can't go on: reason
// is why one that is in order leaves the pool.
func (w *worker) report(how departure, err error, reason string) {
	var broken *WorkerError
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent) && how != stay:
		w.log.Warn("worker ended before it had a request", "reason", unsent.err)
	case errors.As(err, &broken):
		w.log.Error("worker ended", "reason", broken.Err)
	case how == departTerm:
		w.log.Warn("worker ended", "reason", err)
	case reason != "":
		w.log.Debug("worker replaced", "reason", reason)
	}
}
