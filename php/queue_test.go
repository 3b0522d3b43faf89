package php

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// blocker returns a message that keeps a worker busy until open is called.
func blocker(t *testing.T) (message string, open func()) {
	path := filepath.Join(t.TempDir(), "open")
	return "until " + path, func() {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Error(err)
		}
	}
}

func TestQueue(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Queue: 2, QueueTimeout: time.Second})
	message, open := blocker(t)
	results := make(chan error, 3)
	send := func(message string, waiting int) {
		go func() {
			_, err := do(p, message)
			results <- err
		}()
		eventually(t, "the call is in flight", func() bool { return p.Status().Waiting == waiting && busyWorkers(p) == 1 })
	}
	send(message, 0)
	send("pid", 1)
	send("pid", 2)
	if _, err := do(p, "pid"); err != ErrQueueFull {
		t.Errorf("one too many: %v", err)
	}
	for range 2 {
		if err := <-results; err != ErrQueueTimeout {
			t.Errorf("waiting: %v", err)
		}
	}
	open()
	if err := <-results; err != nil {
		t.Error(err)
	}
	if c := p.Status().Counts; c.QueueFull != 1 || c.QueueTimeouts != 2 || c.Requests != 1 {
		t.Errorf("%+v", c)
	}
}

// TestNoQueue: without a queue a call that finds no worker is refused, but starts one
// for the next call.
func TestNoQueue(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 2, Queue: -1})
	message, open := blocker(t)
	done := make(chan error)
	go func() { _, err := do(p, message); done <- err }()
	eventually(t, "the worker is busy", func() bool { return busyWorkers(p) == 1 })
	if _, err := do(p, "pid"); err != ErrQueueFull {
		t.Errorf("error %v", err)
	}
	eventually(t, "there is a second worker", func() bool { return len(p.Status().Workers) == 2 })
	mustDo(t, p, "pid")
	open()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestQueueKeepsOrder: 1,000 calls of one client that wait for one worker are served
// in the order in which they came.
func TestQueueKeepsOrder(t *testing.T) {
	const calls = 1000
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Queue: calls, QueueTimeout: time.Minute, Script: script(t, `
		$served = [];
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			global $served;
			if (str_starts_with(arca::$request, 'until ')) {
				while (!file_exists(substr(arca::$request, 6))) { usleep(1000); clearstatcache(); }
				return '';
			}
			$served[] = arca::$request;
			return implode(' ', $served);
		}];`)})
	message, open := blocker(t)
	var wg sync.WaitGroup
	wg.Go(func() { mustDo(t, p, message) })
	eventually(t, "the worker is busy", func() bool { return busyWorkers(p) == 1 })
	var want []string
	for i := range calls {
		name := fmt.Sprint(i)
		want = append(want, name)
		wg.Go(func() { mustDo(t, p, name) })
		for p.Status().Waiting <= i {
			runtime.Gosched()
		}
	}
	if _, err := do(p, "one more"); err != ErrQueueFull {
		t.Errorf("one more: %v", err)
	}
	open()
	wg.Wait()
	if got := mustDo(t, p, "end"); got != strings.Join(append(want, "end"), " ") {
		t.Errorf("order of service: %s", got)
	}
}

// TestQueueOfTwoWorkers: 1,000 calls wait for two workers, which record what they
// serve. Side by side a call can overtake few others.
func TestQueueOfTwoWorkers(t *testing.T) {
	const calls = 1000
	served := filepath.Join(t.TempDir(), "served")
	p, _ := start(t, Options{MinWorkers: 2, MaxWorkers: 2, Queue: calls, QueueTimeout: time.Minute, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			if (str_starts_with(arca::$request, 'until ')) {
				while (!file_exists(substr(arca::$request, 6))) { usleep(1000); clearstatcache(); }
			} else {
				file_put_contents('`+served+`', arca::$request . "\n", FILE_APPEND);
			}
			return '';
		}];`)})
	message, open := blocker(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { mustDo(t, p, message) })
	}
	eventually(t, "the workers are busy", func() bool { return busyWorkers(p) == 2 })
	for i := range calls {
		wg.Go(func() { mustDo(t, p, strconv.Itoa(i)) })
		for p.Status().Waiting <= i {
			runtime.Gosched()
		}
	}
	if _, err := do(p, "one more"); err != ErrQueueFull {
		t.Errorf("one more: %v", err)
	}
	open()
	wg.Wait()
	data, err := os.ReadFile(served)
	if err != nil {
		t.Fatal(err)
	}
	order := strings.Fields(string(data))
	if len(order) != calls {
		t.Fatalf("%d calls were served", len(order))
	}
	// A worker has one call at a time: without those that were overtaken, which
	// are written down late, the order is that of the queue.
	late, highest := 0, -1
	for _, name := range order {
		n, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		if n < highest {
			late++
		}
		highest = max(highest, n)
	}
	if late > calls/2 {
		t.Errorf("%d of %d calls were overtaken: %v", late, calls, order)
	}
}

// endedContext is a context that has ended without a deadline. It calls asked when
// somebody asks why.
type endedContext struct {
	context.Context
	asked func()
}

func (c endedContext) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (c endedContext) Err() error {
	c.asked()
	return context.Canceled
}

// TestWorkerComesAsTheWaitEnds: a call whose context ends while a worker is given to it
// has that worker. Otherwise the worker would stay busy for ever.
func TestWorkerComesAsTheWaitEnds(t *testing.T) {
	p, _ := newPool(t, Options{})
	w := new(worker)
	ctx := endedContext{context.Background(), sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.offer(w)
	})}
	got, err := p.acquire(ctx, task{}, time.Now().Add(time.Minute))
	if got != w || err != nil {
		t.Fatalf("got %p, %v; want %p", got, err, w)
	}
	p.busy-- // it has no process, which Close would end
}
