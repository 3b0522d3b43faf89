// Package histogram counts durations by their length, at a cost that a request
// doesn't feel: two atomic additions.
package histogram

import (
	"math"
	"sync/atomic"
	"time"
)

// size is the number of counts: one for each bound, and one for what is longer.
const size = 19

// Bounds returns the upper bounds of all counts but the last. A duration belongs to
// the first bound that it doesn't pass.
func Bounds() [size - 1]time.Duration { return bounds }

var bounds = [size - 1]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
}

// Histogram counts durations. It is safe for use by several goroutines; its zero
// value is empty.
type Histogram struct {
	counts [size]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts a duration.
func (h *Histogram) Observe(d time.Duration) {
	low, high := 0, size-1 // the bound is found in so many steps as 19 has bits
	for low < high {
		if middle := (low + high) / 2; d <= bounds[middle] {
			high = middle
		} else {
			low = middle + 1
		}
	}
	h.counts[low].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot returns what was counted so far.
func (h *Histogram) Snapshot() (s Snapshot) {
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	s.Sum = time.Duration(h.sum.Load())
	return s
}

// Snapshot is what a Histogram had counted at a time.
type Snapshot struct {
	Counts [size]uint64
	Sum    time.Duration
}

// Count returns the number of durations.
func (s *Snapshot) Count() (n uint64) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Since returns what was counted since an earlier snapshot of the same Histogram. If it
// has counted less than that, it is another one in its place, and all is returned.
func (s *Snapshot) Since(earlier *Snapshot) (d Snapshot) {
	for i := range s.Counts {
		if s.Counts[i] < earlier.Counts[i] {
			return *s
		}
		d.Counts[i] = s.Counts[i] - earlier.Counts[i]
	}
	d.Sum = s.Sum - earlier.Sum
	return d
}

// Quantile returns the duration that a share q of all durations doesn't pass, as
// near as the bounds and the sum show it: between two bounds the durations are taken
// as evenly spread, and what is longer than the last one counts as that. It returns 0
// if there are no durations.
func (s *Snapshot) Quantile(q float64) time.Duration {
	count := float64(s.Count())
	rank := q * count
	if rank <= 0 {
		return 0
	}
	// The rest is at least as long as the result, and not longer in all than the sum:
	// so durations that are all 0 don't look like 99 µs.
	most := time.Duration(math.MaxInt64)
	if rest := (1 - q) * count; rest > 0 {
		most = max(0, time.Duration(float64(s.Sum)/rest))
	}
	var before float64
	var from time.Duration
	for i, to := range bounds {
		n := float64(s.Counts[i])
		if before+n >= rank {
			return min(most, from+time.Duration((rank-before)/n*float64(to-from)))
		}
		before, from = before+n, to
	}
	return min(most, from)
}

// Add adds what another Histogram has counted.
func (s *Snapshot) Add(other *Snapshot) {
	for i := range s.Counts {
		s.Counts[i] += other.Counts[i]
	}
	s.Sum += other.Sum
}
