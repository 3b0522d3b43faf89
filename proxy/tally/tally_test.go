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
	s, _ := tally.Snapshot()
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
	if s, _ := tally.Snapshot(); len(s) != 1 || s[0].Name != blog {
		t.Errorf("kept: %+v", s)
	}
}

// TestGone: what was counted of names that a configuration doesn't have any more is kept, by
// their listener and their route as far as others have them.
func TestGone(t *testing.T) {
	var tally Tally
	names := []Name{{"web", "shop", "php"}, {"old", "shop", "php"}, {"web", "blog", "php"}, {"old", "blog", "php"}, {"web", "", ""}, {"old", "", ""}}
	for i, n := range names {
		for range i + 1 {
			tally.Requests(n).End(503, 1, 2, time.Millisecond)
		}
	}
	want := map[Gone]uint64{
		{Snapshot: Snapshot{Name: Name{"", "shop", "php"}}}:              2,
		{Snapshot: Snapshot{Name: Name{"web", "", ""}}, Routeless: true}: 3,
		{Snapshot: Snapshot{Name: Name{"", "", ""}}, Routeless: true}:    4,
		{Snapshot: Snapshot{Name: Name{"", "", ""}}}:                     6,
	}
	for range 2 { // the second time there is nothing to forget
		tally.Keep(func(n Name) bool { return n.Listener == "web" && n.Route != "blog" })
		_, gone := tally.Snapshot()
		if len(gone) != len(want) {
			t.Errorf("%+v", gone)
		}
		for _, g := range gone {
			n := want[Gone{Snapshot: Snapshot{Name: g.Name}, Routeless: g.Routeless}]
			if g.Classes[4] != n || g.In != n || g.Out != 2*n || g.Duration.Count() != n {
				t.Errorf("%+v, want %d", g, n)
			}
		}
	}
	// Of a route that comes back, it is counted anew.
	tally.Keep(func(Name) bool { return false })
	if all, gone := tally.Snapshot(); len(all) != 0 || len(gone) != 1 || gone[0].Classes[4] != 21 || gone[0].In != 21 || gone[0].Out != 42 || gone[0].Duration.Count() != 21 {
		t.Errorf("%+v, %+v", all, gone)
	}
}

// TestOrder: routes without names come in the order of the configuration.
func TestOrder(t *testing.T) {
	var tally Tally
	order := []string{"", "api", "api2", "api10", "routes[0]", "routes[2]", "routes[2].routes[9]", "routes[2].routes[10]", "routes[10]"}
	for i := range order {
		tally.Requests(Name{"web", order[len(order)-1-i], "php"})
	}
	all, _ := tally.Snapshot()
	for i, s := range all {
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
