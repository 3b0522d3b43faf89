package tally

import (
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	var tally Tally
	shop, blog := Name{"web", "shop", "php"}, Name{"web", "blog", "php"}
	r := tally.Requests(shop)
	if tally.Requests(shop) != r || tally.Requests(blog) == r {
		t.Fatal("a name has counts of its own")
	}
	for _, status := range []int{200, 0, 301, 404, 503, 101, 999} { // the last one is nonsense
		r.End(status, 10, 100, time.Millisecond)
	}
	s := tally.Snapshot()
	if len(s) != 2 || s[0].Name != blog || s[1].Name != shop {
		t.Fatalf("%+v", s)
	}
	if want := [numClasses]uint64{1, 2, 1, 1, 2}; s[1].Classes != want || s[1].In != 70 || s[1].Out != 700 || s[1].Duration.Count() != 6 {
		t.Errorf("%+v", s[1])
	}
	tally.Fail(3)
	tally.Fail(1000)
	if tally.Failures(3) != 1 || tally.Failures(numReasons-1) != 1 || tally.Failures(0) != 0 {
		t.Error("failures")
	}
	tally.Keep(func(n Name) bool { return n == blog })
	if s := tally.Snapshot(); len(s) != 1 || s[0].Name != blog {
		t.Errorf("kept: %+v", s)
	}
}

// TestOrder: routes without names come in the order of the configuration.
func TestOrder(t *testing.T) {
	var tally Tally
	order := []string{"", "api", "api2", "api10", "routes[0]", "routes[2]", "routes[2].routes[9]", "routes[2].routes[10]", "routes[10]"}
	for i := range order {
		tally.Requests(Name{"web", order[len(order)-1-i], "php"})
	}
	for i, s := range tally.Snapshot() {
		if s.Route != order[i] {
			t.Errorf("%d is %q, want %q", i, s.Route, order[i])
		}
	}
}

func TestEndAllocatesNothing(t *testing.T) {
	r := new(Tally).Requests(Name{})
	if n := testing.AllocsPerRun(100, func() { r.End(200, 1, 1, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEnd(b *testing.B) {
	r := new(Tally).Requests(Name{})
	for b.Loop() {
		r.End(200, 0, 64, time.Millisecond)
	}
}
