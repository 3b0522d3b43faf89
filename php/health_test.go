package php

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slowLog is a log that blocks at lines of one kind until it is opened.
type slowLog struct {
	slog.Handler
	slow    string // message of the lines
	reached chan struct{}
	open    chan struct{}
}

func (l *slowLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.slow {
		select {
		case l.reached <- struct{}{}:
		default:
		}
		<-l.open
	}
	return nil
}

func (l *slowLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *slowLog) WithAttrs([]slog.Attr) slog.Handler       { return l }

// TestSlowLog: while the log blocks at a line about one worker, the others serve, and
// the pool recovers.
func TestSlowLog(t *testing.T) {
	for _, c := range []struct{ line, message string }{
		{"worker ended", "segfault"},
		{"worker ended", "deaf"},
		{"worker replaced", "leak 20000000"},
		{"php", "print"},
	} {
		t.Run(c.message, func(t *testing.T) {
			log := &slowLog{slow: c.line, reached: make(chan struct{}, 1), open: make(chan struct{})}
			p, _ := start(t, Options{MinWorkers: 2, MaxWorkers: 2, MemoryLimit: 16 << 20, Timeout: 500 * time.Millisecond, Logger: slog.New(log)})
			var wg sync.WaitGroup
			wg.Go(func() { do(p, c.message) })
			<-log.reached
			for range 10 {
				mustDo(t, p, "pid")
			}
			eventually(t, "there are two workers", func() bool { return len(p.Status().Workers) == 2 })
			close(log.open)
			wg.Wait()
		})
	}
}

// flaky returns a script that can't be loaded while a file exists.
func flaky(t *testing.T) (path string, spoil, repair func()) {
	_, spoiled := slowBoot(t)
	return script(t, `
			if (file_exists('`+spoiled+`')) { throw new Exception('spoiled'); }
			$ARCANGELO_USERSPACE = ['on_handle' => function () {
				while (str_starts_with(arca::$request, 'until ') && !file_exists(substr(arca::$request, 6))) { usleep(1000); clearstatcache(); }
				return (string) getmypid();
			}];`),
		func() { write(t, spoiled) }, func() { os.Remove(spoiled) }
}

// TestGrowthBesideBackoff: a slot that is backing off doesn't count as a worker that
// is about to be ready.
func TestGrowthBesideBackoff(t *testing.T) {
	path, spoil, repair := flaky(t)
	p, log := start(t, Options{Script: path, MinWorkers: 2, MaxWorkers: 3})
	spoil()
	for _, w := range p.Status().Workers {
		syscall.Kill(w.PID, syscall.SIGKILL)
	}
	eventually(t, "both back off for long", func() bool { return strings.Count(log.String(), "delay=1.6s") == 2 })
	repair()
	mustDo(t, p, "x")
	if s := p.Status(); len(s.Workers) != 1 || s.Starting != 2 || s.Failure == nil {
		t.Errorf("the message was served by another than an added worker: %+v", s)
	}
}

// TestStatusHasTheFailureOfGrowth: the status has the error of a worker that was
// added, although its slot has ended.
func TestStatusHasTheFailureOfGrowth(t *testing.T) {
	path, spoil, _ := flaky(t)
	p, _ := start(t, Options{Script: path, MinWorkers: 1, MaxWorkers: 2})
	spoil()
	message, open := blocker(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { mustDo(t, p, message) })
	}
	eventually(t, "the pool has tried to grow", func() bool { s := p.Status(); return s.Failure != nil && s.Starting == 0 })
	if err := p.Status().Failure; !strings.Contains(err.Error(), "spoiled") {
		t.Errorf("failure: %v", err)
	}
	open()
	wg.Wait()
}

// TestPingIsNoRequest: neither a ping nor a call that ends before it begins counts.
func TestPingIsNoRequest(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MaxRequests: 2})
	pid := p.Status().Workers[0].PID
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		if err := p.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := doContext(over, p, "pid"); err != context.Canceled {
			t.Errorf("error %v", err)
		}
	}
	if s := p.Status(); s.Workers[0].PID != pid || s.Workers[0].Requests != 0 || s.Counts.Requests != 0 {
		t.Errorf("%+v", s)
	}
}

// TestOutOfTurn uses a pool before Start, and starts it after Close.
func TestOutOfTurn(t *testing.T) {
	p, _ := newPool(t, Options{MinWorkers: 1, QueueTimeout: 50 * time.Millisecond})
	if _, err := do(p, "pid"); err != ErrQueueTimeout {
		t.Errorf("Do before Start: %v", err)
	}
	if err := p.Replace(t.Context()); err != nil {
		t.Errorf("Replace before Start: %v", err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustDo(t, p, "pid")
	p.Close()
	if err := p.Replace(t.Context()); err != ErrClosed {
		t.Errorf("Replace after Close: %v", err)
	}
	if err := p.Start(t.Context()); err != ErrClosed {
		t.Errorf("Start after Close: %v", err)
	}
}

// TestHowAWorkerDied: the error has how the process ended.
func TestHowAWorkerDied(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	_, err := do(p, "segfault")
	var broken *WorkerError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "it died during the request: signal: segmentation fault") {
		t.Errorf("error %v", err)
	}
}

// TestResponseWriterPanics: a panic of the writer costs only its worker.
func TestResponseWriterPanics(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		p.Do(t.Context(), &Call{Body: []byte("pid")}, nil)
	}()
	mustDo(t, p, "pid")
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
