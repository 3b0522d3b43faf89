package balance

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// names are single letters, so that a sequence of picks is a word.
func named(weights ...int) []*Upstream {
	var all []*Upstream
	for i, w := range weights {
		all = append(all, &Upstream{Name: string(rune('a' + i)), Weight: w})
	}
	return all
}

func picks(b *Balancer, n int) string {
	b.init()
	var s strings.Builder
	for range n {
		u, _, _ := b.pick(Wish{}, nil)
		s.WriteString(u.Name)
	}
	return s.String()
}

func TestRoundRobin(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    string
	}{
		{[]int{0}, "aaa"},
		{[]int{0, 1, -1}, "abcabc"},
		{[]int{5, 1, 1}, "aabacaaaabacaa"},
		{[]int{1, 2}, "babbab"},
	} {
		if got := picks(&Balancer{Upstreams: named(c.weights...)}, len(c.want)); got != c.want {
			t.Errorf("%v: %s, want %s", c.weights, got, c.want)
		}
	}
}

// TestBackup: a backup gets requests only while no other upstream can be tried, or all were.
func TestBackup(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, LeastConn, RandomTwo, Hash} {
		b := &Balancer{By: policy, Upstreams: named(1, 9, 1)}
		b.Upstreams[1].Backup = true
		b.init()
		wish := Wish{Key: 1, Upstream: b.Upstreams[1]} // of a client whose cookie it is
		pick := func(tried ...*state) string {
			u, _, _ := b.pick(wish, tried)
			if u == nil {
				return ""
			}
			return u.Name
		}
		for range 20 {
			if got := pick(); got == "b" {
				t.Errorf("%v: the backup gets a request while others are up", policy)
			}
		}
		if got := pick(b.states[0]); got != "c" {
			t.Errorf("%v: after a try at a: %q", policy, got)
		}
		if got := pick(b.states[0], b.states[2]); got != "b" {
			t.Errorf("%v: after a try at each of the others: %q", policy, got)
		}
		b.states[0].checks.down, b.states[2].checks.down = true, true
		if got := pick(); got != "b" {
			t.Errorf("%v: while the others are down: %q", policy, got)
		}
		b.states[2].checks.down = false
		if got := pick(); got != "c" {
			t.Errorf("%v: once one is up again: %q", policy, got)
		}
		b.states[1].checks.down, b.states[2].checks.down = true, true
		if got := pick(); got != "" {
			t.Errorf("%v: while all are down: %q", policy, got)
		}
	}
}

func TestRoundRobinWithout(t *testing.T) {
	b := &Balancer{Upstreams: named(1, 1, 1)}
	b.init()
	b.states[1].checks.down = true
	if got := picks(b, 4); got != "acac" {
		t.Error(got)
	}
	u, _, _ := b.pick(Wish{}, b.states[:1])
	if u != b.states[2] {
		t.Error(u.Name)
	}
	if u, _, _ := b.pick(Wish{}, b.states); u != nil {
		t.Error(u.Name)
	}
}

func TestLeastConn(t *testing.T) {
	b := &Balancer{Upstreams: named(1, 2, 1), By: LeastConn}
	b.init()
	var got strings.Builder
	for range 8 { // none ends
		u, _, _ := b.pick(Wish{}, nil)
		u.active.Add(1)
		got.WriteString(u.Name)
	}
	if got.String() != "bacbbacb" && strings.Count(got.String(), "b") != 4 {
		t.Error(got.String())
	}
	b.states[0].active.Store(0)
	if got := picks(b, 3); got != "aaa" {
		t.Error(got)
	}
	for _, s := range b.states {
		s.active.Store(0)
	}
	if got := picks(b, 4); got != "bacb" && strings.Count(got, "b") != 2 {
		t.Errorf("idle ones by turns: %s", got)
	}
	n := 7
	b.Upstreams[1].Active = func() int { return n }
	b.states[0].active.Store(4)
	b.states[2].active.Store(4)
	if got := picks(b, 1); got != "b" {
		t.Errorf("7 of weight 2 are less than 4: %s", got)
	}
	if n = 9; picks(b, 1) == "b" {
		t.Error("9 of weight 2 are more than 4")
	}
}

func TestRandomTwo(t *testing.T) {
	b := &Balancer{Upstreams: named(1, 1, 2), By: RandomTwo}
	b.init()
	const n = 20000
	got := picks(b, n)
	for name, want := range map[string]float64{"a": 0.25, "b": 0.25, "c": 0.5} {
		if share := float64(strings.Count(got, name)) / n; math.Abs(share-want) > 0.03 {
			t.Errorf("%s: %v", name, share)
		}
	}
	// The most loaded one gets none, since it is always compared to another.
	b.states[1].active.Store(9)
	if got := picks(b, 1000); strings.Contains(got, "b") || !strings.Contains(got, "a") || !strings.Contains(got, "c") {
		t.Error("b was picked, or a or c wasn't")
	}
	b.states[0].checks.down, b.states[2].checks.down = true, true
	if got := picks(b, 10); got != "bbbbbbbbbb" {
		t.Error(got)
	}
}

func TestPolicyString(t *testing.T) {
	if got := []string{RoundRobin.String(), LeastConn.String(), RandomTwo.String(), Policy(9).String()}; !slices.Equal(got, []string{"round_robin", "least_conn", "random_two", "Policy(9)"}) {
		t.Error(got)
	}
}

// TestAllocations checks what a request costs that succeeds at once.
func TestAllocations(t *testing.T) {
	resp := &http.Response{Body: http.NoBody}
	for _, by := range []Policy{RoundRobin, LeastConn, RandomTwo} {
		b := &Balancer{By: by}
		for _, u := range named(1, 2, 3) {
			u.Transport = transport(func(*http.Request) (*http.Response, error) { return resp, nil })
			b.Upstreams = append(b.Upstreams, u)
		}
		r, _ := http.NewRequest("GET", "http://example.org/", nil)
		if n := testing.AllocsPerRun(1000, func() { b.RoundTrip(r) }); n > 1 {
			t.Errorf("%v: %v allocations", by, n)
		}
	}
}

// TestHash sends keys to the same upstream until it is down, by the shares of weights.
func TestHash(t *testing.T) {
	b := &Balancer{Upstreams: named(1, 2, 1), By: Hash}
	b.init()
	const n = 40_000
	first := make([]*state, n)
	count := make(map[*state]int)
	for i := range n {
		u, _, _ := b.pick(Wish{Key: Key([]byte{byte(i), byte(i >> 8)})}, nil)
		first[i] = u
		count[u]++
	}
	for i, s := range b.states {
		if want := n * s.weight / 4; math.Abs(float64(count[s]-want)) > float64(want)/10 {
			t.Errorf("upstream %d has %d keys, want about %d", i, count[s], want)
		}
	}
	b.states[1].checks.down = true
	moved := 0
	for i := range n {
		u, _, _ := b.pick(Wish{Key: Key([]byte{byte(i), byte(i >> 8)})}, nil)
		if first[i] == b.states[1] {
			moved++
		} else if u != first[i] {
			t.Fatalf("key %d moved although its upstream is up", i)
		}
	}
	if moved != count[b.states[1]] {
		t.Errorf("%d keys moved", moved)
	}
	b.states[1].checks.down = false
	if u, _, _ := b.pick(Wish{Key: 7}, nil); u != nil {
		if again, _, _ := b.pick(Wish{Key: 7}, []*state{u}); again == u || again == nil {
			t.Errorf("after %s failed: %v", u.Name, again)
		}
	}
	if got := picks(b, 4); strings.Count(got, "b") != 2 {
		t.Errorf("without keys: %s", got)
	}
	if Key(nil) == 0 || Key([]byte("a")) == Key([]byte("b")) {
		t.Error("keys")
	}
}

// TestWish sends a request to the upstream that it should go to, unless that is down.
func TestWish(t *testing.T) {
	for _, by := range []Policy{RoundRobin, LeastConn, RandomTwo, Hash} {
		b := &Balancer{Upstreams: named(1, 1, 1), By: by}
		b.init()
		wish := Wish{Upstream: b.Upstreams[2], Key: 5}
		for range 5 {
			if u, _, _ := b.pick(wish, nil); u != b.states[2] {
				t.Errorf("%v: %s", by, u.Name)
			}
		}
		if u, _, _ := b.pick(wish, []*state{b.states[2]}); u == b.states[2] || u == nil {
			t.Errorf("%v: %v is tried twice", by, u)
		}
		b.states[2].checks.down = true
		if u, _, _ := b.pick(wish, nil); u == b.states[2] || u == nil {
			t.Errorf("%v: %v, which is down", by, u)
		}
		if u, _, _ := b.pick(Wish{Upstream: &Upstream{}}, nil); u == nil {
			t.Errorf("%v: an upstream that isn't there", by)
		}
	}
}
