package cores

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// given is what a governor is given, and times how often.
type given struct {
	times int
	used  float64
	late  bool
	want  int // the processors after the last time
}

func TestGovernor(t *testing.T) {
	for _, c := range []struct {
		name  string
		count int
		given []given
	}{
		{"an idle program needs one", 8, []given{{calm - 1, 0, false, 8}, {1, 0, false, 1}}},
		{"a busy one gets twice as many at once", 8, []given{{calm, 0, false, 1}, {1, 0.97, false, 2}, {1, 1.97, false, 4}, {1, 3.97, false, 8}, {5, 8, false, 8}}},
		{"goroutines that wait get more", 8, []given{{calm, 0, false, 1}, {1, 0.2, true, 2}, {1, 0.2, true, 4}}},
		{"a peak within the pause counts", 8, []given{{calm - 1, 0, false, 8}, {1, 2, false, 3}, {100, 2.2, false, 3}}},
		{"a peak that needs all starts the pause anew", 2, []given{{calm - 1, 0, false, 2}, {1, 1.5, false, 2}, {calm - 1, 0, false, 2}, {1, 0, false, 1}}},
		{"a load that one bears", 2, []given{{calm, 0.69, false, 1}, {100, 0.94, false, 1}}},
		{"a load that one would hardly bear", 2, []given{{100, 0.71, false, 2}}},
		{"never more than there are", 3, []given{{calm, 0, false, 1}, {4, 9, true, 3}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := governor{count: c.count, active: c.count}
			for i, l := range c.given {
				got := 0
				for range l.times {
					got = g.next(l.used, l.late)
				}
				if got != l.want {
					t.Errorf("step %d: %d processors, want %d", i, got, l.want)
				}
			}
		})
	}
}

// TestFollow lets the scheduler have one processor while nothing runs, two when there
// is work, and all in the end.
func TestFollow(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	defer func(n int) { count = n; runtime.GOMAXPROCS(n) }(count)
	count = max(count, 2)
	runtime.GOMAXPROCS(count)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { Follow(ctx); close(done) }()
	until := func(what string, reached func(n int) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !reached(runtime.GOMAXPROCS(0)); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d processors, want %s", runtime.GOMAXPROCS(0), what)
			}
		}
	}
	until("1", func(n int) bool { return n == 1 })
	var stop atomic.Bool
	for range 2 {
		go func() {
			for !stop.Load() {
			}
		}()
	}
	until("more", func(n int) bool { return n > 1 })
	stop.Store(true)
	until("1 again", func(n int) bool { return n == 1 })
	cancel()
	<-done
	if n := runtime.GOMAXPROCS(0); n != count {
		t.Errorf("%d processors in the end, want %d", n, count)
	}
}

// TestFollowNot changes nothing that the operator has decided.
func TestFollowNot(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	Follow(t.Context()) // returns
}
