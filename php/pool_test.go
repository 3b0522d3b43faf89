package php

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestFakeWorkers: workers misbehave in every way. Only their own client gets an
// error, immediately, and the pool recovers.
func TestFakeWorkers(t *testing.T) {
	for _, mode := range []string{
		"wrong id", "wrong version", "wrong type", "ready again", "long head", "short head", "half a response", "dies",
	} {
		t.Run(mode, func(t *testing.T) {
			p, _ := start(t, fake(mode, Options{MinWorkers: 2, MaxWorkers: 2}))
			for range 3 {
				_, err := do(p, "badly")
				var broken *WorkerError
				if !errors.As(err, &broken) {
					t.Fatalf("error %v", err)
				}
				if got := mustDo(t, p, "well"); got != "well" {
					t.Fatalf("%q", got)
				}
			}
			awaitWhole(t, p, 2)
			if c := p.Status().Counts; c.WorkerErrors != 3 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestReadyOfAnyLength: a worker that cuts the optional number in the head of its READY
// short starts; one whose head is too short or too long doesn't. The daemon goes on.
func TestReadyOfAnyLength(t *testing.T) {
	for _, n := range []int{4, 5, 6, 7, 8, 9, 10, maxHead, maxHead + 1} {
		p, _ := newPool(t, fake(fmt.Sprint("ready of ", n), Options{MinWorkers: 1, MaxWorkers: 1}))
		err := p.Start(t.Context())
		if n < 5 || n > maxHead {
			if !errors.Is(err, errFrame) {
				t.Errorf("a head of %d bytes: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("a head of %d bytes: %v", n, err)
		}
		if got := mustDo(t, p, "x"); got != "x" {
			t.Errorf("a head of %d bytes: %q", n, got)
		}
	}
}

// TestPipesThatDontBlock: a worker whose script has made the pipes of the frames
// non-blocking serves on, and sleeps while it is idle, or waits for its client.
func TestPipesThatDontBlock(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Script: script(t, `
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			foreach (['r' => 3, 'w' => 4] as $mode => $fd) { stream_set_blocking(fopen("php://fd/$fd", $mode), false); }
			return strrev(arca::$request);
		}];`)})
	long := strings.Repeat("0123456789abcdef", 1<<16)
	for _, message := range []string{"abc", long + "x", "def"} {
		reversed := []byte(message)
		slices.Reverse(reversed)
		if got := mustDo(t, p, message); got != string(reversed) {
			t.Fatalf("%d bytes for %d: %.20q", len(got), len(message), got)
		}
	}
	pid := p.Status().Workers[0].PID
	sleeps := func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && bytes.Contains(stat, []byte(") S "))
	}
	eventually(t, "the worker sleeps", sleeps)
	w := &slowWriter{first: make(chan struct{}), open: make(chan struct{})}
	done := make(chan error)
	go func() { done <- p.Do(t.Context(), &Call{Body: []byte(long)}, w) }()
	<-w.first
	eventually(t, "the worker sleeps while its client doesn't read", sleeps)
	close(w.open)
	if err := <-done; err != nil || w.b.Len() != len(long) {
		t.Errorf("a slow client: %v, %d bytes", err, w.b.Len())
	}
}

func TestFrameAfterTheEnd(t *testing.T) {
	p, _ := start(t, fake("frame after the end", Options{MinWorkers: 1, MaxWorkers: 1}))
	for i := range 20 {
		want := fmt.Sprint("message ", i)
		if got := mustDo(t, p, want); got != want {
			t.Fatalf("%q got the response %q", want, got)
		}
	}
}

func TestTimeout(t *testing.T) {
	for _, mode := range []string{"says nothing", "half a response, then nothing"} {
		p, _ := start(t, fake(mode, Options{MinWorkers: 1, MaxWorkers: 1, Timeout: 300 * time.Millisecond}))
		if _, err := do(p, "badly"); err != ErrTimeout {
			t.Fatalf("%s: %v", mode, err)
		}
		if got := mustDo(t, p, "well"); got != "well" {
			t.Fatalf("%s: %q", mode, got)
		}
	}
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Timeout: 300 * time.Millisecond})
	for _, message := range []string{"sleep 100000", "deaf"} {
		if _, err := do(p, message); err != ErrTimeout {
			t.Fatalf("%s: %v", message, err)
		}
		if got := mustDo(t, p, "echo well"); got != "well" {
			t.Fatalf("%s: %q", message, got)
		}
	}
	if c := p.Status().Counts; c.Timeouts != 2 {
		t.Errorf("%+v", c)
	}
}

func TestContextEndsACall(t *testing.T) {
	p, log := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := doContext(ctx, p, "sleep 100000"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	gone := errors.New("the client has left")
	ctx, end := context.WithCancelCause(t.Context())
	time.AfterFunc(2*patience, func() { end(gone) })
	if _, err := doContext(ctx, p, "sleep 100000"); err != gone {
		t.Errorf("cause: %v", err)
	}
	if _, err := doContext(ctx, p, "pid"); err != gone {
		t.Errorf("already over: %v", err)
	}
	awaitWhole(t, p, 1) // a call that ends while it waits has no worker to end
	plain, cut := context.WithCancel(t.Context())
	time.AfterFunc(2*patience, cut)
	if _, err := doContext(plain, p, "sleep 100000"); err != context.Canceled {
		t.Errorf("no cause: %v", err)
	}
	eventually(t, "the log has a reason that people understand", func() bool { return strings.Contains(log.String(), "cut off: the client left, or mkd stops") })
	if strings.Contains(log.String(), "reason=\"context canceled\"") {
		t.Error("the log has the error of the context")
	}
	mustDo(t, p, "pid")
}

func TestBootTimeout(t *testing.T) {
	for _, c := range []struct {
		mode    string
		timeout time.Duration
		want    string
	}{
		{"dies at boot", time.Minute, "exit status 7; it printed:\na last word"},
		{"silent at boot", 300 * time.Millisecond, "wasn't ready within 300ms"},
		{"closes at boot", time.Minute, "closed its descriptors"},
		{"nonsense at boot", time.Minute, "broke the framing"},
	} {
		p, _ := newPool(t, fake(c.mode, Options{MinWorkers: 2, BootTimeout: c.timeout}))
		if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.mode, err)
		}
	}
}

// TestKilledWorkers kills workers under load: only the requests that they had fail,
// no client gets the response of another, and the pool recovers.
func TestKilledWorkers(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 4, MaxWorkers: 4})
	stop := make(chan struct{})
	var killed, failed, done atomic.Int64
	var load, killer sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				want := strconv.FormatUint(rand.Uint64(), 36)
				got, err := do(p, "echo "+want)
				var broken *WorkerError
				switch {
				case errors.As(err, &broken):
					failed.Add(1)
				case err != nil:
					t.Errorf("error %v", err)
				case got != want:
					t.Errorf("%q got the response %q", want, got)
				default:
					done.Add(1)
				}
			}
		})
	}
	killer.Go(func() {
		for range 20 {
			time.Sleep(50 * time.Millisecond)
			if ws := p.Status().Workers; len(ws) > 0 {
				syscall.Kill(ws[rand.IntN(len(ws))].PID, syscall.SIGKILL)
				killed.Add(1)
			}
		}
		close(stop)
	})
	killer.Wait()
	load.Wait()
	t.Logf("%d done, %d workers killed, %d requests failed", done.Load(), killed.Load(), failed.Load())
	if failed.Load() > killed.Load() || done.Load() == 0 {
		t.Errorf("%d workers were killed, %d requests failed, %d didn't", killed.Load(), failed.Load(), done.Load())
	}
	awaitWhole(t, p, 4)
}

func TestSegfault(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	_, err := do(p, "segfault")
	var broken *WorkerError
	if !errors.As(err, &broken) {
		t.Errorf("error %v", err)
	}
	mustDo(t, p, "pid")
}

// TestOrphanHoldsThePipes: a child of a script that left the process group and holds
// the worker's pipes open doesn't keep the client waiting.
func TestOrphanHoldsThePipes(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Timeout: 15 * time.Second})
	_, err := do(p, "orphan")
	var broken *WorkerError
	if !errors.As(err, &broken) {
		t.Errorf("error %v", err)
	}
	mustDo(t, p, "pid")
}

// TestScriptsThatMeddle: scripts write to the descriptor of the frames and close it.
func TestScriptsThatMeddle(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 2, MaxWorkers: 2})
	for range 3 {
		for _, message := range []string{"badframe", "closefds", "late"} {
			do(p, message) // it may fail
			well := 0
			for i := range 20 {
				want := fmt.Sprint(message, i)
				// Nonsense that comes during a call may end it, with an error.
				got, err := do(p, "echo "+want)
				if err == nil && got != want {
					t.Fatalf("%q got the response %q", want, got)
				}
				if err == nil {
					well++
				}
				time.Sleep(time.Millisecond)
			}
			if well < 10 {
				t.Errorf("after %s, %d of 20 messages had a response", message, well)
			}
		}
	}
	awaitWhole(t, p, 2)
}

// TestBurst grows from 2 workers to 16 under a burst with a queue, and back.
func TestBurst(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 2, MaxWorkers: 16, IdleTimeout: 500 * time.Millisecond, Queue: 1000})
	for range 2 {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						mustDo(t, p, "sleep 5")
					}
				}
			})
		}
		eventually(t, "there are 16 workers", func() bool { return len(p.Status().Workers) == 16 })
		close(stop)
		wg.Wait()
		awaitWhole(t, p, 2)
	}
}

func TestRecycling(t *testing.T) {
	t.Run("max_requests", func(t *testing.T) {
		p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MaxRequests: 10})
		pids := map[string]int{}
		for range 60 {
			pids[mustDo(t, p, "pid")]++
		}
		if len(pids) < 5 || len(pids) > 8 {
			t.Errorf("requests of each worker: %v", pids)
		}
	})
	t.Run("memory_limit", func(t *testing.T) {
		p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MemoryLimit: 32 << 20, MemoryCeiling: 64 << 20})
		most := int64(0)
		for range 200 {
			mustDo(t, p, "leak 1048576")
			for _, w := range p.Status().Workers {
				most = max(most, w.Memory)
			}
		}
		if most > 40<<20 || most < 16<<20 {
			t.Errorf("a worker had %d bytes", most)
		}
	})
	t.Run("max_age", func(t *testing.T) {
		p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MaxAge: 200 * time.Millisecond})
		first := mustDo(t, p, "pid")
		eventually(t, "an idle worker is replaced", func() bool {
			w := p.Status().Workers
			return len(w) == 1 && strconv.Itoa(w[0].PID) != first
		})
	})
}

// TestResponseRefused: a response that its writer refuses costs no worker.
func TestResponseRefused(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	pid := mustDo(t, p, "pid")
	full := errors.New("full")
	for range 3 {
		if err := p.Do(t.Context(), &Call{Body: []byte("repeat 3000000")}, refuse{full}); err != full {
			t.Errorf("error %v", err)
		}
	}
	if mustDo(t, p, "pid") != pid {
		t.Error("the worker was replaced")
	}
}

type refuse struct{ err error }

func (r refuse) Write(p []byte) (int, error) { return 0, r.err }

func TestDir(t *testing.T) {
	dir := t.TempDir()
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Dir: dir, Script: script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => getcwd()];`)})
	if got := mustDo(t, p, "x"); got != dir {
		t.Errorf("the working directory is %s, want %s", got, dir)
	}
}

func TestEnvAndIni(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/x")
	t.Setenv("INHERITED", "yes")
	p, _ := start(t, Options{MinWorkers: 1, Env: map[string]string{"APP": "a=b c"}, Ini: map[string]string{"precision": "5"}})
	for message, want := range map[string]string{"env APP": "a=b c", "env INHERITED": "yes", "env NOTIFY_SOCKET": "", "ini precision": "5"} {
		if got := mustDo(t, p, message); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	for _, size := range []int{64, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p, err := NewPool(Options{Script: "testdata/kit.php", MinWorkers: 2, MaxWorkers: 2})
			if err != nil {
				b.Fatal(err)
			}
			if err := p.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			call := &Call{Body: append([]byte("echo "), bytes.Repeat([]byte("x"), size)...)}
			var response bytes.Buffer
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				response.Reset()
				if err := p.Do(b.Context(), call, &response); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
