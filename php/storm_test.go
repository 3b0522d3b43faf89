package php

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestStorm has scripts do their worst under load, while workers are killed
// and replaced. Every message carries a nonce that its answer must repeat.
func TestStorm(t *testing.T) {
	const workers = 8
	p, _ := start(t, Options{
		MinWorkers: workers, MaxWorkers: workers, MaxRequests: 200, QueueTimeout: time.Minute,
		Timeout: 3 * time.Second, MemoryLimit: 16 << 20, MemoryCeiling: 64 << 20,
	})
	evil := []string{
		"exit", "fatal", "throw", "eat", "redeclare", "segfault", "sleep 100000", "deaf",
		"print", "flood 2000", "buffer", "fork", "badframe", "closefds", "halfway", "leak 1000000", "leakthrow 1000000", "repeat 3000000", "slowend", "orphan",
	}
	stop := make(chan struct{})
	var good, bad, failed atomic.Int64
	var wg sync.WaitGroup
	until := func(f func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	for range 8 {
		until(func() {
			nonce := strconv.FormatUint(rand.Uint64(), 36)
			got, err := do(p, "echo "+nonce)
			var broken *WorkerError
			switch {
			case errors.As(err, &broken): // it was killed, or another's nonsense came late
				failed.Add(1)
			case err != nil:
				t.Errorf("echo: %v", err)
			case got != nonce:
				t.Errorf("%q got the answer %q", nonce, got)
			default:
				good.Add(1)
			}
		})
	}
	for range 3 {
		until(func() {
			do(p, evil[rand.IntN(len(evil))])
			bad.Add(1)
		})
	}
	until(func() {
		time.Sleep(100 * time.Millisecond)
		if ws := p.Status().Workers; len(ws) > 0 {
			syscall.Kill(ws[rand.IntN(len(ws))].PID, syscall.SIGKILL)
		}
	})
	until(func() {
		time.Sleep(2 * time.Second)
		if err := p.Replace(t.Context()); err != nil {
			t.Errorf("Replace: %v", err)
		}
	})
	time.Sleep(15 * time.Second)
	close(stop)
	wg.Wait()
	t.Logf("%d echoes, %d of them cut off, among %d that did their worst", good.Load(), failed.Load(), bad.Load())
	if good.Load() < 1000 || bad.Load() < 20 {
		t.Error("too little was done to show anything")
	}
	awaitWhole(t, p, workers)
	for i := range 100 {
		if got := mustDo(t, p, fmt.Sprint("echo ", i)); got != strconv.Itoa(i) {
			t.Errorf("after the storm: %q", got)
		}
	}
}
