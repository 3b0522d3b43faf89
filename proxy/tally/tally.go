// Package tally counts requests, once each, where they end. Its counts outlive a
// configuration: a route that a new one still has goes on counting.
//
// What is counted is resolved when a configuration is built, so that a request
// costs some atomic additions, and nothing that a client sends can make a new count.
package tally

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mkd/histogram"
)

// Name is what requests are counted by.
type Name struct {
	Listener string
	Route    string // "" for requests that no route takes
	Backend  string // the backend's name, or respond or redirect
}

// Requests counts the requests of a Name. It is safe for use by several goroutines.
type Requests struct {
	name     Name
	classes  [numClasses]atomic.Uint64
	in, out  atomic.Uint64
	duration histogram.Histogram
}

// numClasses is how many classes of statuses there are: 1xx to 5xx.
const numClasses = 5

// End counts a request that has ended: its status, the bytes received and sent, and
// how long it took. The status of a message that isn't HTTP is 0 or 200. How long a
// tunnel lives, after a status 101, isn't among the durations.
func (r *Requests) End(status int, in, out int64, took time.Duration) {
	if status == 0 {
		status = 200
	}
	r.classes[min(max(status/100, 1), numClasses)-1].Add(1)
	if in > 0 {
		r.in.Add(uint64(in))
	}
	if out > 0 {
		r.out.Add(uint64(out))
	}
	if status != 101 {
		r.duration.Observe(took)
	}
}

// Snapshot is what was counted of a Name.
type Snapshot struct {
	Name
	Classes  [numClasses]uint64 // requests by the class of their status, from 1xx to 5xx
	In, Out  uint64             // bytes
	Duration histogram.Snapshot
}

// add adds what another name has counted.
func (s *Snapshot) add(other *Snapshot) {
	for i, n := range other.Classes {
		s.Classes[i] += n
	}
	s.In, s.Out = s.In+other.In, s.Out+other.Out
	s.Duration.Add(&other.Duration)
}

// Gone is what was counted of names that Keep has forgotten. Its listener is "" if no name
// that is left has it.
type Gone struct {
	Snapshot
	Routeless bool // no name that is left has the route with the backend, which are ""
}

// Tally has the counts of all names. Its zero value is ready for use.
type Tally struct {
	errors [numReasons]atomic.Uint64

	mu    sync.Mutex
	names map[Name]*Requests
	gone  []Gone
}

// numReasons bounds the reasons that Fail takes.
const numReasons = 32

// Requests returns the counts of a name.
func (t *Tally) Requests(n Name) *Requests {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.names[n]
	if r == nil {
		if t.names == nil {
			t.names = make(map[Name]*Requests)
		}
		r = &Requests{name: n}
		t.names[n] = r
	}
	return r
}

// Keep forgets all names but those in use, which a new configuration no longer has. What
// was counted of them is kept as Gone, so that sums over listeners or routes never become
// less.
func (t *Tally) Keep(used func(Name) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := t.gone
	t.gone = nil
	listeners, routes := make(map[string]bool), make(map[[2]string]bool)
	for n, r := range t.names {
		if used(n) {
			listeners[n.Listener], routes[[2]string{n.Route, n.Backend}] = true, true
			continue
		}
		delete(t.names, n)
		gone = append(gone, Gone{Snapshot: r.snapshot()})
	}
	for _, g := range gone {
		if !listeners[g.Listener] {
			g.Listener = ""
		}
		if g.Routeless || !routes[[2]string{g.Route, g.Backend}] {
			g.Route, g.Backend, g.Routeless = "", "", true
		}
		t.addGone(&g)
	}
}

// addGone adds what was counted of a name to that of the same name.
func (t *Tally) addGone(g *Gone) {
	for i := range t.gone {
		if same := &t.gone[i]; same.Name == g.Name && same.Routeless == g.Routeless {
			same.add(&g.Snapshot)
			return
		}
	}
	t.gone = append(t.gone, *g)
}

// Fail counts a request that failed for a reason, which is a small number.
func (t *Tally) Fail(reason int) { t.errors[min(max(reason, 0), numReasons-1)].Add(1) }

// Failures returns how many requests failed for a reason.
func (t *Tally) Failures(reason int) uint64 { return t.errors[reason].Load() }

// Snapshot returns the counts of all names, in their order, and those of forgotten ones.
func (t *Tally) Snapshot() (all []Snapshot, gone []Gone) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all = make([]Snapshot, 0, len(t.names))
	for _, r := range t.names {
		all = append(all, r.snapshot())
	}
	slices.SortFunc(all, func(a, b Snapshot) int {
		return cmp.Or(cmp.Compare(a.Listener, b.Listener), compareRoutes(a.Route, b.Route), cmp.Compare(a.Backend, b.Backend))
	})
	return all, slices.Clone(t.gone)
}

func (r *Requests) snapshot() Snapshot {
	s := Snapshot{Name: r.name, In: r.in.Load(), Out: r.out.Load(), Duration: r.duration.Snapshot()}
	for i := range r.classes {
		s.Classes[i] = r.classes[i].Load()
	}
	return s
}

// compareRoutes compares the names of routes, and the numbers in them by their values:
// routes[2] comes before routes[10].
func compareRoutes(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			x, y = 1, 1
		}
		if c := cmp.Or(cmp.Compare(x, y), cmp.Compare(a[:x], b[:y])); c != 0 {
			return c
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns how many decimal digits s begins with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
