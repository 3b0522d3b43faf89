package share

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var greedy, modest = prefix("192.0.2.1/32"), prefix("2001:db8::/64")

// waiter is what waits in the queues of tests.
type waiter struct{ Turn[waiter] }

// join appends a waiter, nil if there is no room.
func join(q *Queue[waiter], client netip.Prefix) (w, evicted *waiter) {
	w = new(waiter)
	joined, evicted := q.Join(w, &w.Turn, client)
	if !joined {
		return nil, evicted
	}
	return w, evicted
}

// order takes all calls out of a queue, and returns their names.
func order(q *Queue[waiter], names map[*waiter]string) string {
	var served []string
	for w := q.Next(); w != nil; w = q.Next() {
		served = append(served, names[w])
	}
	return strings.Join(served, " ")
}

// TestTurns: clients take turns, and each call without a client has a turn of
// its own.
func TestTurns(t *testing.T) {
	q := NewQueue[waiter](100)
	names := map[*waiter]string{}
	add := func(client, calls string) {
		var key netip.Prefix
		if client != "" {
			key = prefix(client)
		}
		for call := range strings.FieldsSeq(calls) {
			w, _ := join(q, key)
			names[w] = call
		}
	}
	add("192.0.2.1/32", "a1 a2 a3 a4")
	add("", "x y")
	add("192.0.2.2/32", "b1 b2")
	add("192.0.2.3/32", "c1")
	if got, want := order(q, names), "a1 x y b1 c1 a2 b2 a3 a4"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

// TestNextThat: a client that is passed over keeps its turn.
func TestNextThat(t *testing.T) {
	q := NewQueue[waiter](100)
	a, _ := join(q, greedy)
	a2, _ := join(q, greedy)
	b, _ := join(q, modest)
	not := func(client netip.Prefix) func(*waiter) bool {
		return func(w *waiter) bool { return w.client.key != client }
	}
	for _, want := range []*waiter{b, nil} {
		if got := q.NextThat(not(greedy)); got != want {
			t.Errorf("got %p, want %p", got, want)
		}
	}
	b2, _ := join(q, modest)
	for i, want := range []*waiter{a, b2, a2, nil} {
		if got := q.Next(); got != want {
			t.Errorf("%d: got %p, want %p", i, got, want)
		}
	}
}

// TestFullQueue: the client that has most calls loses its newest one, and a
// client can't take more than its share from others.
func TestFullQueue(t *testing.T) {
	q := NewQueue[waiter](6)
	var greedys []*waiter
	for range 6 {
		w, evicted := join(q, greedy)
		if w == nil || evicted != nil {
			t.Fatal("there was room")
		}
		greedys = append(greedys, w)
	}
	if w, _ := join(q, greedy); w != nil {
		t.Error("the greedy client has more than the queue holds")
	}
	for i := range 3 {
		w, evicted := join(q, modest)
		if w == nil || evicted != greedys[5-i] || evicted.waits {
			t.Fatalf("call %d: %v, evicted %v", i, w, evicted)
		}
	}
	if w, _ := join(q, modest); w != nil {
		t.Error("the modest client took more than half")
	}
	if w, evicted := join(q, netip.Prefix{}); w == nil || evicted == nil {
		t.Error("a third client found no room")
	}
	if q.Len() != 6 {
		t.Errorf("the queue has %d calls", q.Len())
	}
}

// TestEvenQueue: of a full queue nobody has to leave for a client that would then have as
// much, or more.
func TestEvenQueue(t *testing.T) {
	q := NewQueue[waiter](3)
	join(q, modest)
	join(q, greedy)
	last, _ := join(q, greedy)
	if w, evicted := join(q, prefix("192.0.2.9/32")); w == nil || evicted != last {
		t.Errorf("a client that has none gets %v, and evicts %v of one that has two", w, evicted)
	}
	if w, evicted := join(q, prefix("192.0.2.10/32")); w != nil || evicted != nil {
		t.Errorf("a client that has none gets %v, and evicts %v of one that has one", w, evicted)
	}
}

// FuzzQueue compares the queue with a plain one that counts and searches.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 7, 2, 6, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		const limit = 8
		ops = ops[:min(len(ops), 500)]
		q := NewQueue[waiter](limit)
		keys := []netip.Prefix{{}, greedy, modest, prefix("192.0.2.9/32")}
		var waiting []*waiter // in the order in which they came
		count := func(c *queued[waiter]) (n int) {
			for _, w := range waiting {
				if w.client == c {
					n++
				}
			}
			return n
		}
		remove := func(w *waiter) {
			i := slices.Index(waiting, w)
			if i < 0 {
				t.Fatal("the queue has returned what it hasn't")
			}
			waiting = slices.Delete(waiting, i, i+1)
		}
		for _, op := range ops {
			switch arg := int(op >> 3); op & 7 {
			case 6: // next
				w := q.Next()
				if (w == nil) != (len(waiting) == 0) {
					t.Fatalf("next: %v of %d", w, len(waiting))
				}
				if w != nil {
					if first := slices.IndexFunc(waiting, func(o *waiter) bool { return o.client == w.client }); waiting[first] != w {
						t.Fatal("a call was overtaken by one of the same client")
					}
					remove(w)
				}
			case 7: // leave
				if len(waiting) > 0 {
					w := waiting[arg%len(waiting)]
					if !q.Leave(&w.Turn) || q.Leave(&w.Turn) {
						t.Fatal("leave")
					}
					remove(w)
				}
			default:
				key, most := keys[int(op&7)%len(keys)], 0
				for _, w := range waiting {
					most = max(most, count(w.client))
				}
				has := 0
				if c := q.clients[key]; c != nil {
					has = count(c)
				}
				w, evicted := join(q, key)
				full := len(waiting) == limit
				if (w == nil) != (full && most <= has+1) || (evicted != nil) != (full && w != nil) {
					t.Fatalf("full %v, most %d, has %d: got %v, evicted %v", full, most, has, w, evicted)
				}
				if evicted != nil {
					if count(evicted.client) != most {
						t.Fatal("it wasn't the greediest")
					}
					remove(evicted)
				}
				if w != nil {
					waiting = append(waiting, w)
				}
			}
			ranked, longest := 0, 0
			for n := range q.ranks {
				if q.ranks[n].n > 0 {
					ranked, longest = ranked+q.ranks[n].n, n
				}
			}
			if q.Len() != len(waiting) || ranked != q.turns.n || longest != q.longest || len(q.clients) > q.turns.n {
				t.Fatalf("%d calls, want %d; %d clients in ranks up to %d, which should be %d; %d clients, %d turns", q.Len(), len(waiting), ranked, q.longest, longest, len(q.clients), q.turns.n)
			}
		}
	})
}

// BenchmarkQueue: the cost of a call doesn't grow with the calls that wait.
func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{10, 100_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			q := NewQueue[waiter](waiting)
			clients := make([]netip.Prefix, 100)
			for i := range clients {
				clients[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)
			}
			for range waiting { // all of one client
				join(q, greedy)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if w, _ := join(q, clients[i%len(clients)]); w != nil {
					q.Next()
				}
			}
		})
	}
}
