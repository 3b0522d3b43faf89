package php

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// underLoad calls f while clients send messages without a pause, of which none
// may fail.
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
	t.Logf("%d messages were answered", done.Load())
}

func TestReplace(t *testing.T) {
	path := script(t, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'first'];`)
	p, _ := start(t, Options{Script: path, MinWorkers: 3, MaxWorkers: 4})
	underLoad(t, p, func() {
		rewrite(t, path, `$ARCANGELO_USERSPACE = ['on_handle' => fn() => 'second'];`)
		if err := p.Replace(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, "the new script answers alone", func() bool {
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
			t.Errorf("then %q answers", got)
		}
	})
}

func rewrite(t *testing.T, path, code string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("<?php "+code), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestReplaceFollowsASymlink moves the link of the current release.
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
	eventually(t, "the new release answers", func() bool { return mustDo(t, p, "x") == "2 2" })
}

// TestReplaceEverySecond replaces all workers every second for half a minute
// under load: no message fails.
func TestReplaceEverySecond(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 4, MaxWorkers: 4})
	before := p.Status().Counts.Started
	underLoad(t, p, func() {
		for tick, i := time.NewTicker(time.Second), 0; i < 30; i++ {
			<-tick.C
			if err := p.Replace(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	if n := p.Status().Counts.Started - before; n < 30*4 {
		t.Errorf("%d workers were started", n)
	}
	awaitWhole(t, p, 4)
}
