package php

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// slowBoot returns a script whose workers don't become ready while a file hold
// exists, and respond with their pid.
func slowBoot(t *testing.T) (path, hold string) {
	hold = filepath.Join(t.TempDir(), "hold")
	return script(t, `
		while (file_exists('`+hold+`')) { usleep(1000); clearstatcache(); }
		$ARCANGELO_USERSPACE = ['on_handle' => fn() => (string) getmypid()];`), hold
}

// TestRecyclingLeavesNoGap: an expired worker goes on until its replacement is
// ready.
func TestRecyclingLeavesNoGap(t *testing.T) {
	for name, opt := range map[string]Options{
		"max_requests": {MaxRequests: 20},
		"max_age":      {MaxAge: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			path, hold := slowBoot(t)
			opt.Script, opt.MinWorkers, opt.MaxWorkers, opt.QueueTimeout = path, 1, 1, time.Second
			p, _ := start(t, opt)
			write(t, hold)
			var first string
			for range 21 {
				first = mustDo(t, p, "x")
			}
			eventually(t, "another worker starts", func() bool { return p.Status().Starting == 1 })
			if w := p.Status().Workers; len(w) != 1 || strconv.Itoa(w[0].PID) != first {
				t.Errorf("meanwhile there is %+v", w)
			}
			os.Remove(hold)
			eventually(t, "it takes over", func() bool {
				w := p.Status().Workers
				return len(w) == 1 && strconv.Itoa(w[0].PID) != first
			})
		})
	}
}

// TestMaxRequestsOfOne: each request gets a new worker.
func TestMaxRequestsOfOne(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 2, MaxRequests: 1})
	seen := map[string]bool{}
	for range 10 {
		pid := mustDo(t, p, "pid")
		if seen[pid] {
			t.Errorf("worker %s had two requests", pid)
		}
		seen[pid] = true
	}
}

// TestRecyclingOutlivesABrokenScript: an old worker goes on if no new one starts.
func TestRecyclingOutlivesABrokenScript(t *testing.T) {
	path := script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'first'];`)
	p, log := start(t, Options{Script: path, MinWorkers: 1, MaxWorkers: 1, MaxAge: 50 * time.Millisecond})
	rewrite(t, path, `syntax error`)
	log.await(t, "expired worker can't be replaced; it goes on")
	if got := mustDo(t, p, "x"); got != "first" {
		t.Errorf("%q", got)
	}
	if s := p.Status(); s.Failure == nil || len(s.Workers) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestRecyclingGoesThroughAll: workers that expire at the same time are replaced one
// right after the other.
func TestRecyclingGoesThroughAll(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 4, MaxWorkers: 4, MaxAge: time.Hour})
	p.mu.Lock()
	for s := range p.slots {
		s.worker.born = s.worker.born.Add(-2 * time.Hour)
	}
	p.recycle()
	p.mu.Unlock()
	eventually(t, "all are replaced", func() bool {
		s := p.Status()
		for _, w := range s.Workers {
			if w.Age > time.Hour {
				return false
			}
		}
		return len(s.Workers) == 4 && s.Counts.Started == 8
	})
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMemoryLeavesTheMessageOut: a large message and a large response don't count as
// a leak.
func TestMemoryLeavesTheMessageOut(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, MemoryLimit: 32 << 20})
	pid := mustDo(t, p, "pid")
	message := "echo " + string(make([]byte, 16<<20))
	for range 3 {
		if got := mustDo(t, p, message); len(got) != 16<<20 {
			t.Errorf("%d bytes came back", len(got))
		}
		if m := p.Status().Workers[0].Memory; m > 8<<20 {
			t.Errorf("the worker keeps %d bytes", m)
		}
	}
	if mustDo(t, p, "pid") != pid {
		t.Error("the worker was replaced")
	}
}

// TestLeakOfAScriptThatThrows: the memory of a script that throws counts, too, with and
// without an on_stop, before which the response is complete.
func TestLeakOfAScriptThatThrows(t *testing.T) {
	bare := script(t, `
		$leak = [];
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			global $leak;
			if (arca::$request === 'pid') { return (string) getmypid(); }
			$leak[] = str_repeat('x', 1 << 20);
			throw new RuntimeException('leaked');
		}];`)
	for _, path := range []string{"testdata/kit.php", bare} {
		p, _ := start(t, Options{Script: path, MinWorkers: 1, MaxWorkers: 1, MemoryLimit: 16 << 20, MemoryCeiling: 64 << 20})
		pid := mustDo(t, p, "pid")
		for range 40 {
			if _, err := do(p, "leakthrow 1048576"); err == nil || err.(*ScriptError).Fatal {
				t.Fatalf("error %v", err)
			}
		}
		if mustDo(t, p, "pid") == pid {
			t.Errorf("%s: the worker wasn't replaced", path)
		}
	}
}
