package php

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"
)

// watchProcesses calls f, and returns the highest number of child processes
// meanwhile.
func watchProcesses(t *testing.T, f func()) (most int) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			most = max(most, len(children(t)))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	f()
	close(done)
	wg.Wait()
	return most
}

// TestEvictedProcessesAreBounded: there are never more than twice MaxWorkers
// processes, although every call leaves one that takes a while to end.
func TestEvictedProcessesAreBounded(t *testing.T) {
	const limit = 3
	for _, c := range []struct {
		message string
		opt     Options
		want    error
	}{
		{"slowend", Options{MaxRequests: 1}, nil},
		{"deaf", Options{Timeout: 20 * time.Millisecond}, ErrTimeout},
	} {
		t.Run(c.message, func(t *testing.T) {
			c.opt.MinWorkers, c.opt.MaxWorkers = 2, limit
			p, _ := start(t, c.opt)
			most := watchProcesses(t, func() {
				var wg sync.WaitGroup
				for range limit {
					wg.Go(func() {
						for range 8 {
							if _, err := do(p, c.message); err != c.want {
								t.Errorf("error %v, want %v", err, c.want)
							}
						}
					})
				}
				wg.Wait()
			})
			t.Logf("%d processes at most", most)
			if most > 2*limit {
				t.Errorf("there were %d processes, of %d workers at most", most, limit)
			}
			if most <= limit {
				t.Errorf("there were %d processes: a slot wasn't filled immediately", most)
			}
		})
	}
}

// TestReplaceKeepsToTheBound replaces workers whose calls don't end.
func TestReplaceKeepsToTheBound(t *testing.T) {
	const workers = 2
	p, _ := start(t, Options{MinWorkers: workers, MaxWorkers: workers})
	message, open := blocker(t)
	var calls sync.WaitGroup
	occupy := func(busy int) {
		for range workers {
			calls.Go(func() { mustDo(t, p, message) })
		}
		eventually(t, "all workers are busy", func() bool { return busyWorkers(p) == busy })
	}
	most := watchProcesses(t, func() {
		occupy(workers)
		if err := p.Replace(t.Context()); err != nil {
			t.Error(err)
		}
		occupy(2 * workers)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := p.Replace(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Replace while there is no room: %v", err)
		}
		replaced := make(chan error)
		go func() { replaced <- p.Replace(t.Context()) }()
		open()
		if err := <-replaced; err != nil {
			t.Error(err)
		}
		calls.Wait()
	})
	if most > 2*workers {
		t.Errorf("there were %d processes, of %d workers at most", most, workers)
	}
	awaitWhole(t, p, workers)
}

// TestEndedWorkersHoldNoDescriptors: the pipes to a worker are closed once its process has
// ended, whether it was idle or had a call.
func TestEndedWorkersHoldNoDescriptors(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	for name, end := range map[string]func(w *worker){
		"killed while it was idle": func(w *worker) { w.proc.Kill() },
		"ended by its script":      func(*worker) { do(p, "exit") },
		"killed during a call":     func(*worker) { do(p, "segfault") },
		"replaced":                 func(*worker) { p.Replace(t.Context()) },
	} {
		awaitWhole(t, p, 1)
		p.mu.Lock()
		w := p.idle[0]
		p.mu.Unlock()
		end(w)
		eventually(t, "the pipes are closed: "+name, func() bool {
			_, err1 := w.proc.in.Stat()
			_, err2 := w.proc.out.Stat()
			return errors.Is(err1, os.ErrClosed) && errors.Is(err2, os.ErrClosed)
		})
	}
}
