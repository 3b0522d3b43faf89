package histogram

import (
	"sync"
	"testing"
	"time"
)

// TestObserve puts durations at, below and above each bound.
func TestObserve(t *testing.T) {
	for i, bound := range Bounds() {
		var h Histogram
		h.Observe(bound)
		h.Observe(bound - 1)
		h.Observe(bound + 1)
		s := h.Snapshot()
		if s.Counts[i] != 2 || s.Counts[i+1] != 1 || s.Count() != 3 || s.Sum != 3*bound {
			t.Errorf("around %v: %v, in all %v", bound, s.Counts, s.Sum)
		}
	}
	var h Histogram
	h.Observe(-time.Second) // the clock was set
	h.Observe(time.Hour)
	if s := h.Snapshot(); s.Counts[0] != 1 || s.Counts[size-1] != 1 {
		t.Errorf("%v", s.Counts)
	}
}

func TestQuantile(t *testing.T) {
	var h Histogram
	if s := h.Snapshot(); s.Quantile(0.5) != 0 {
		t.Errorf("of nothing: %v", s.Quantile(0.5))
	}
	for range 98 {
		h.Observe(2 * time.Millisecond)
	}
	before := h.Snapshot()
	h.Observe(40 * time.Millisecond)
	h.Observe(time.Hour)
	s := h.Snapshot()
	for q, want := range map[float64][2]time.Duration{
		0.5: {time.Millisecond, 2500 * time.Microsecond}, 0.985: {25 * time.Millisecond, 50 * time.Millisecond}, 1: {time.Minute, time.Minute},
	} {
		if got := s.Quantile(q); got < want[0] || got > want[1] {
			t.Errorf("quantile %v is %v, want between %v and %v", q, got, want[0], want[1])
		}
	}
	if since := s.Since(&before); since.Count() != 2 || since.Sum != time.Hour+40*time.Millisecond {
		t.Errorf("since then: %d in %v", since.Count(), since.Sum)
	}
}

// TestSinceAnother: a Histogram that is in the place of another has begun anew.
func TestSinceAnother(t *testing.T) {
	var before, now Histogram
	for range 5 {
		before.Observe(time.Second)
	}
	now.Observe(time.Second)
	now.Observe(time.Millisecond)
	earlier, s := before.Snapshot(), now.Snapshot()
	if since := s.Since(&earlier); since != s {
		t.Errorf("%+v", since)
	}
}

// TestQuantileOfZeros: when nobody waited, the longest wait was shown as 99 µs.
func TestQuantileOfZeros(t *testing.T) {
	var h Histogram
	for range 1000 {
		h.Observe(0)
	}
	if s := h.Snapshot(); s.Quantile(0.99) != 0 || s.Quantile(0.5) != 0 {
		t.Errorf("of zeros: %v", s.Quantile(0.99))
	}
	h.Observe(20 * time.Microsecond) // one in a thousand is beyond the quantile
	if s := h.Snapshot(); s.Quantile(0.99) > 2*time.Microsecond {
		t.Errorf("with one of 20 µs: %v", s.Quantile(0.99))
	}
}

func TestConcurrentObserve(t *testing.T) {
	var h Histogram
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				h.Observe(time.Duration(i) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	if s := h.Snapshot(); s.Count() != 8000 {
		t.Errorf("%d durations", s.Count())
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	for b.Loop() {
		h.Observe(3 * time.Millisecond)
	}
}
