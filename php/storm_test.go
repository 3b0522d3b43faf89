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

// TestStorm: scripts do their worst under load, while workers are killed and
// replaced. Every message carries a nonce that its response must repeat. The test
// ends when each script has done its worst.
func TestStorm(t *testing.T) { storm(t, 0) }

// storm is TestStorm for at least a time.
func storm(t *testing.T, atLeast time.Duration) {
	const workers = 8
	p, _ := start(t, Options{
		MinWorkers: workers, MaxWorkers: workers, MaxRequests: 200, QueueTimeout: time.Minute,
		Timeout: time.Second, MemoryLimit: 16 << 20, MemoryCeiling: 64 << 20,
	})
	evil := []string{
		"exit", "fatal", "throw", "eat", "redeclare", "segfault", "sleep 100000", "deaf",
		"print", "flood 2000", "buffer", "fork", "badframe", "closefds", "halfway", "leak 1000000", "leakthrow 1000000", "repeat 3000000", "slowend", "orphan",
	}
	stop := make(chan struct{})
	var good, bad, failed, replaced atomic.Int64
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
				t.Errorf("%q got the response %q", nonce, got)
			default:
				good.Add(1)
			}
		})
	}
	var next atomic.Int64
	for range 3 {
		until(func() {
			do(p, evil[int(next.Add(1))%len(evil)])
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
		time.Sleep(500 * time.Millisecond)
		if err := p.Replace(t.Context()); err != nil {
			t.Errorf("Replace: %v", err)
		}
		replaced.Add(1)
	})
	time.Sleep(atLeast)
	eventually(t, "each script has done its worst", func() bool { return bad.Load() >= int64(len(evil)) })
	eventually(t, "300 echoes came back", func() bool { return good.Load() >= 300 })
	eventually(t, "all workers were replaced twice", func() bool { return replaced.Load() >= 2 })
	close(stop)
	wg.Wait()
	t.Logf("%d echoes, %d of them cut off, among %d that did their worst", good.Load(), failed.Load(), bad.Load())
	awaitWhole(t, p, workers)
	for i := range 100 {
		if got := mustDo(t, p, fmt.Sprint("echo ", i)); got != strconv.Itoa(i) {
			t.Errorf("after the storm: %q", got)
		}
	}
}
