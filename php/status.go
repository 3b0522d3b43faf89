package php

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"mkd/histogram"
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
	Ended         [NumEndings]int64
	Retried       int64 // calls that another worker got, because the first had died before
}

// Ending is why a worker was ended.
type Ending int

// The reasons for which workers end.
const (
	EndedShutdown    Ending = iota // of the pool
	EndedIdle                      // more than MinWorkers were idle
	EndedReplaced                  // by Replace
	EndedMaxRequests               // MaxRequests
	EndedMaxAge                    // MaxAge
	EndedMemory                    // MemoryLimit
	EndedTimeout                   // its call took too long, or its caller left
	EndedScript                    // the script called exit, or had a fatal error
	EndedCrash                     // it died, or broke the protocol
	EndedBoot                      // it wasn't ready in time
	NumEndings
)

func (e Ending) String() string {
	return [NumEndings]string{"shutdown", "idle", "replaced", "max_requests", "max_age", "memory_limit", "timeout", "script", "crash", "boot"}[e]
}

// endingOf returns why a worker is evicted after its call.
func endingOf(how eviction) Ending {
	switch how {
	case evictStop:
		return EndedScript
	case evictTerm:
		return EndedTimeout
	}
	return EndedCrash
}

// expiry returns why the worker of a slot is replaced.
func (s *slot) expiry() Ending {
	switch w := s.worker; {
	case w == nil || !w.expired():
		return EndedReplaced
	case w.maxRequests > 0 && w.requests >= w.maxRequests:
		return EndedMaxRequests
	}
	return EndedMaxAge
}

// Status is the state of a pool.
type Status struct {
	Workers  []WorkerStatus     // the workers that are ready, by process id
	Starting int                // slots whose worker isn't ready: it starts, or failed and is tried again later
	Exiting  int                // processes that were evicted and haven't ended
	Waiting  int                // calls that wait for a worker
	Wait     histogram.Snapshot // how long calls waited for a worker, those that got none included
	Failure  error              // why the last start of a worker failed; nil: it didn't
	Counts   Counts
}

// WorkerStatus is the state of a worker.
type WorkerStatus struct {
	PID      int
	Busy     bool
	WorksOn  bool   // its client has the response, and it works on; it counts as busy
	Draining bool   // it ends after its call
	Route    string // of its call, as are Method and Path; "" if it is idle, or if the call has none
	Method   string
	Path     string
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
	st := Status{Wait: p.waits.Snapshot(), Exiting: len(p.exiting), Waiting: p.queue.Len(), Failure: p.startError, Counts: p.counts}
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
				WorksOn:  w.worksOn,
				Draining: w.draining,
				Route:    w.task.route,
				Method:   w.task.method,
				Path:     w.task.path,
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

// retried counts a call that another worker gets.
func (p *Pool) retried() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Retried++
}

// count counts a call that reached a worker.
func (p *Pool) count(w *worker, how eviction, err error) {
	if isUnsent(err) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.requests++
	p.counts.Requests++
	if err != nil {
		p.countFailure(how, err)
	}
}

// countFailure counts why a call failed. The caller holds p.mu.
func (p *Pool) countFailure(how eviction, err error) {
	var script *ScriptError
	var broken *WorkerError
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
	if err != nil && w.logFailure(how, err) {
		return
	}
	if reason != "" {
		w.log.Debug("worker replaced", "reason", reason)
	}
}

// errCutOff is the reason in the log if the context of a call ended without a cause.
var errCutOff = errors.New("its request was cut off: the client left, or mkd stops")

// logFailure logs why a call that failed evicts its worker. It reports false if it
// doesn't.
func (w *worker) logFailure(how eviction, err error) bool {
	var broken *WorkerError
	var unsent *unsentError
	switch {
	case errors.As(err, &unsent) && how != keep:
		w.log.Warn("worker ended before it had a request", "reason", unsent.err)
	case errors.As(err, &broken):
		w.logEnded(slog.LevelError, broken.Err)
	case how == evictTerm && errors.Is(err, context.Canceled):
		w.logEnded(slog.LevelWarn, errCutOff)
	case how == evictTerm:
		w.logEnded(slog.LevelWarn, err)
	default:
		return false
	}
	return true
}

// logEnded logs why a request has ended its worker.
func (w *worker) logEnded(level slog.Level, reason error) {
	w.log.LogAttrs(context.Background(), level, "worker ended", append(w.output.attrs(), slog.Any("reason", reason))...)
}
