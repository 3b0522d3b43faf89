package php

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Counts count events since the start of a pool.
type Counts struct {
	Requests      int64 // calls that reached a worker
	ScriptErrors  int64 // calls that ended with a *ScriptError
	WorkerErrors  int64 // calls that ended with a *WorkerError
	Timeouts      int64 // calls that ended with ErrTimeout or the context
	QueueFull     int64 // calls refused with ErrQueueFull
	QueueTimeouts int64 // calls refused with ErrQueueTimeout
	Started       int64 // workers that became ready
}

// Status is the state of a pool.
type Status struct {
	Workers  []WorkerStatus // the workers that are ready, by process id
	Starting int            // slots whose worker isn't ready: it starts, or failed and is tried again later
	Exiting  int            // processes that were evicted and haven't ended
	Waiting  int            // calls that wait for a worker
	Failure  error          // why the last start of a worker failed; nil: it didn't
	Counts   Counts
}

// WorkerStatus is the state of a worker.
type WorkerStatus struct {
	PID      int
	Busy     bool
	For      time.Duration // how long it has been busy or idle
	Age      time.Duration
	Requests int64 // calls that it served
	Memory   int64 // bytes that PHP took from the system, as of the last call
}

// Status returns the state of the pool and of every worker.
func (p *Pool) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	st := Status{Exiting: len(p.exiting), Waiting: p.queue.len(), Failure: p.startError, Counts: p.counts}
	for s := range p.slots {
		if s.startError != nil {
			st.Failure = s.startError
		}
		if w := s.worker; w == nil {
			st.Starting++
		} else {
			st.Workers = append(st.Workers, WorkerStatus{
				PID:      w.proc.PID,
				Busy:     w.busy,
				For:      now.Sub(w.since),
				Age:      now.Sub(w.born),
				Requests: w.requests,
				Memory:   w.memory,
			})
		}
	}
	slices.SortFunc(st.Workers, func(a, b WorkerStatus) int { return cmp.Compare(a.PID, b.PID) })
	return st
}

// count counts a call that reached a worker.
func (p *Pool) count(w *worker, how eviction, err error) {
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
	case how == evictTerm:
		p.counts.Timeouts++
	}
}

// logEnd logs why a worker is evicted after its use, if it is. reason is why a
// worker that works is evicted.
func (w *worker) logEnd(how eviction, err error, reason string) {
	var broken *WorkerError
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent) && how != keep:
		w.log.Warn("worker ended before it had a request", "reason", unsent.err)
	case errors.As(err, &broken):
		w.log.Error("worker ended", "reason", broken.Err)
	case how == evictTerm:
		w.log.Warn("worker ended", "reason", err)
	case reason != "":
		w.log.Debug("worker replaced", "reason", reason)
	}
}
