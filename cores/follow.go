//go:build unix

package cores

import (
	"context"
	"os"
	"runtime"
	"runtime/metrics"
	"syscall"
	"time"
)

const (
	pause   = 100 * time.Millisecond // between two looks at the load
	tooLong = 2e-3                   // seconds that a goroutine may wait for a processor
)

// Follow gives the scheduler more and fewer processors, as the load needs, until ctx
// ends: more at once if they are busy or if one goroutine in ten waits longer
// than 2 ms for one, fewer after a second in which fewer sufficed. It does nothing if the
// environment variable GOMAXPROCS is set.
func Follow(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") != "" || count == 1 {
		return
	}
	defer runtime.GOMAXPROCS(count)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	g := &governor{count: count, active: count}
	waits := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	for last := look(waits); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := look(waits)
		used := float64(now.cpu-last.cpu) / float64(now.at.Sub(last.at))
		late := (now.late-last.late)*10 > now.waits-last.waits
		last = now
		if active := g.active; g.next(used, late) != active {
			runtime.GOMAXPROCS(g.active)
		}
	}
}

// load is what the program has used and waited for until a moment.
type load struct {
	at          time.Time
	cpu         time.Duration // of all threads
	waits, late uint64        // goroutines that waited for a processor, and too long
}

// look returns the load until now. waits is used again for each look.
func look(waits []metrics.Sample) load {
	l := load{at: time.Now()}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		l.cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	metrics.Read(waits)
	h := waits[0].Value.Float64Histogram()
	for i, n := range h.Counts {
		l.waits += n
		if h.Buckets[i] >= tooLong {
			l.late += n
		}
	}
	return l
}
