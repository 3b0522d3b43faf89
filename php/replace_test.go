package php

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// underLoad calls f while clients send messages without pauses. None may fail.
func underLoad(t *testing.T, p *Pool, f func()) {
	t.Helper()
	stop := make(chan struct{})
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := do(p, "x"); err != nil {
						t.Errorf("under load: %v", err)
						return
					}
					done.Add(1)
				}
			}
		})
	}
	f()
	close(stop)
	wg.Wait()
	t.Logf("%d messages were served", done.Load())
}

func TestReplace(t *testing.T) {
	path := script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'first'];`)
	p, _ := start(t, Options{Script: path, MinWorkers: 3, MaxWorkers: 4})
	underLoad(t, p, func() {
		rewrite(t, path, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'second'];`)
		if err := p.Replace(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, "only the new script responds", func() bool {
			for range 50 {
				if mustDo(t, p, "x") != "second" {
					return false
				}
			}
			return true
		})
		rewrite(t, path, `syntax error`)
		if err := p.Replace(t.Context()); err == nil || !strings.Contains(err.Error(), "ParseError") {
			t.Errorf("a script that is broken: %v", err)
		}
		if got := mustDo(t, p, "x"); got != "second" {
			t.Errorf("then %q responds", got)
		}
	})
}

func rewrite(t *testing.T, path, code string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("<?php "+code), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestReplaceFollowsASymlink moves the link to the current release.
func TestReplaceFollowsASymlink(t *testing.T) {
	dir := t.TempDir()
	for _, release := range []string{"1", "2"} {
		if err := os.Mkdir(filepath.Join(dir, release), 0o755); err != nil {
			t.Fatal(err)
		}
		rewrite(t, filepath.Join(dir, release, "app.php"), `$ARCANGELO_USERSPACE = ['on_handle' => fn() => basename(__DIR__) . ' ' . basename(getcwd())];`)
	}
	current := filepath.Join(dir, "current")
	if err := os.Symlink("1", current); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, Options{Script: filepath.Join(current, "app.php"), MinWorkers: 1, MaxWorkers: 1})
	if got := mustDo(t, p, "x"); got != "1 1" {
		t.Errorf("%q", got)
	}
	if err := os.Symlink("2", current+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(current+".new", current); err != nil {
		t.Fatal(err)
	}
	if err := p.Replace(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new release responds", func() bool { return mustDo(t, p, "x") == "2 2" })
}

// TestReplaceUnderLoad replaces all workers again and again under load: no
// message fails.
func TestReplaceUnderLoad(t *testing.T) { replaceUnderLoad(t, 8, 0) }

// replaceUnderLoad replaces all workers so many times, with pauses.
func replaceUnderLoad(t *testing.T, times int, pause time.Duration) {
	const workers = 4
	p, _ := start(t, Options{MinWorkers: workers, MaxWorkers: workers})
	before := p.Status().Counts.Started
	underLoad(t, p, func() {
		for range times {
			time.Sleep(pause)
			if err := p.Replace(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	if n := p.Status().Counts.Started - before; n < int64(times*workers) {
		t.Errorf("%d workers were started", n)
	}
	awaitWhole(t, p, workers)
}

// TestReplaceEndsBackoff: slots that are backing off are tried immediately when the
// script is replaced, and Replace returns the result.
func TestReplaceEndsBackoff(t *testing.T) {
	path := script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'first'];`)
	p, log := start(t, Options{Script: path, MinWorkers: 2, MaxWorkers: 2})
	rewrite(t, path, `syntax error`)
	for _, w := range p.Status().Workers {
		syscall.Kill(w.PID, syscall.SIGKILL)
	}
	log.await(t, "delay=800ms")
	if err := p.Replace(t.Context()); err == nil || !strings.Contains(err.Error(), "ParseError") {
		t.Errorf("a script that is still broken: %v", err)
	}
	rewrite(t, path, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'second'];`)
	if err := p.Replace(t.Context()); err != nil {
		t.Error(err)
	}
	if s := p.Status(); len(s.Workers) != 2 || s.Starting != 0 || s.Failure != nil {
		t.Errorf("after Replace: %+v", s)
	}
	if got := mustDo(t, p, "x"); got != "second" {
		t.Errorf("%q", got)
	}
}

// TestReplaceDuringBoot: a worker that is loading the old script isn't used.
func TestReplaceDuringBoot(t *testing.T) {
	path, hold := slowBoot(t)
	booting := filepath.Join(t.TempDir(), "booting")
	p, _ := start(t, Options{Script: path, MinWorkers: 1, MaxWorkers: 1})
	pid := mustDo(t, p, "x")
	write(t, hold)
	rewrite(t, path, `
		touch('`+booting+`');
		while (file_exists('`+hold+`')) { usleep(1000); clearstatcache(); }
		$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'first'];`)
	n, _ := strconv.Atoi(pid)
	syscall.Kill(n, syscall.SIGKILL)
	eventually(t, "a worker loads the script", func() bool { _, err := os.Stat(booting); return err == nil })
	rewrite(t, path, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'second'];`)
	replaced := make(chan error)
	go func() { replaced <- p.Replace(t.Context()) }()
	eventually(t, "it is being replaced", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.generation == 1 })
	os.Remove(hold)
	if err := <-replaced; err != nil {
		t.Error(err)
	}
	if got := mustDo(t, p, "x"); got != "second" || len(p.Status().Workers) != 1 {
		t.Errorf("%q responds, %+v", got, p.Status())
	}
}
