//go:build long

package cmd

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// figures are what an attack costs: before it, while it lasts and afterwards. MKD_TABLE
// names a file to which a test appends them as rows of the table of
// docs/threat-model.md.
type figures struct {
	before, during, peak, after     int             // resident memory, MiB
	open, openDuring, openAfter     int             // descriptors
	took                            []time.Duration // of the requests of quiet clients
	mostMemory, mostOpen, leastTook int             // bounds of what the attack may take, and of requests
}

// watch takes the figures of an attack that goes on, for 15 seconds. Connections that come
// and go make the number of descriptors swing: it takes the middle of what it sees.
func (f *figures) watch(t *testing.T, d *daemon) {
	t.Helper()
	open := make([]int, 15)
	for i := range open {
		time.Sleep(time.Second)
		open[i] = d.descriptors(t)
	}
	slices.Sort(open)
	f.openDuring = open[len(open)/2]
	f.during, _ = d.memory(t)
}

// at returns a quantile of took, which is sorted.
func (f *figures) at(q float64) time.Duration {
	if len(f.took) == 0 {
		return 0
	}
	return f.took[int(q*float64(len(f.took)-1))]
}

// short returns a duration with two digits or a little more.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}

// check logs the figures, and compares them with their bounds.
func (f *figures) check(t *testing.T, name string) {
	t.Helper()
	slices.Sort(f.took)
	row := fmt.Sprintf("| %s | %d, %d, %d; peak %d | %d, %d, %d | %s, %s |", name,
		f.before, f.during, f.after, f.peak, f.open, f.openDuring, f.openAfter, short(f.at(0.5)), short(f.at(0.99)))
	t.Logf("%d requests of quiet clients, the longest took %v\n%s", len(f.took), f.at(1), row)
	if path := os.Getenv("MKD_TABLE"); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		fmt.Fprintln(file, row)
	}
	if len(f.took) < f.leastTook || f.at(0.99) > 15*time.Second {
		t.Errorf("%d requests, p99 %v", len(f.took), f.at(0.99))
	}
	if f.peak > f.before+f.mostMemory || f.openDuring > f.open+f.mostOpen {
		t.Errorf("it took %d MiB and %d descriptors", f.peak-f.before, f.openDuring-f.open)
	}
}
