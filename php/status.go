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
	Starting int            // places whose worker isn't ready
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
	Requests int64
	Memory   int64 // bytes that PHP took from the system, as of the last call
}

// Status returns the state of the pool and of every worker.
func (p *Pool) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := Status{Starting: p.starting, Waiting: p.queue.len(), Counts: p.counts}
	for pl := range p.places {
		if pl.failed != nil {
			s.Failure = pl.failed
		}
		if w := pl.worker; w != nil {
			s.Workers = append(s.Workers, WorkerStatus{
				PID:      w.proc.cmd.Process.Pid,
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

// count counts how a call ended, and logs what became of its worker.
func (p *Pool) count(w *worker, how departure, err error) {
	p.counts.Requests++
	var script *ScriptError
	var broken *WorkerError
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent):
		p.counts.Requests--
		w.log.Warn("worker ended before it had a request", "reason", unsent.err)
	case errors.As(err, &script):
		p.counts.ScriptErrors++
	case errors.As(err, &broken):
		p.counts.WorkerErrors++
		w.log.Error("worker ended", "reason", broken.Err)
	case how == departTerm:
		p.counts.Timeouts++
		w.log.Warn("worker ended", "reason", err)
	}
}
