package php

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var greedy, modest = prefix("192.0.2.1/32"), prefix("2001:db8::/64")

// TestQueueIsFair: a client with one call waits for one call of a client with
// 1,000, not for all of them.
func TestQueueIsFair(t *testing.T) {
	const calls = 1000
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1, Queue: calls, QueueTimeout: time.Minute, Script: script(t, `
		$served = 0;
		$ARCANGELO_USERSPACE = ['on_handle' => function () {
			global $served;
			if (str_starts_with(arca::$request, 'until ')) {
				while (!file_exists(substr(arca::$request, 6))) { usleep(1000); clearstatcache(); }
				return '';
			}
			return (string) $served++;
		}];`)})
	send := func(client netip.Prefix, message string) (string, error) {
		var response bytes.Buffer
		err := p.Do(t.Context(), &Call{Client: client, Body: []byte(message)}, &response)
		return response.String(), err
	}
	message, open := blocker(t)
	var wg sync.WaitGroup
	wg.Go(func() { send(greedy, message) })
	eventually(t, "the worker is busy", func() bool { return busyWorkers(p) == 1 })
	var refused atomic.Int64
	for range calls {
		wg.Go(func() {
			if _, err := send(greedy, ""); err == ErrQueueFull {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return p.Status().Waiting == calls })
	var position string
	wg.Go(func() {
		var err error
		if position, err = send(modest, ""); err != nil {
			t.Errorf("the modest client: %v", err)
		}
	})
	eventually(t, "the greedy client has lost a call", func() bool { return refused.Load() == 1 })
	open()
	wg.Wait()
	if position != "0" && position != "1" {
		t.Errorf("%s calls were served before the modest client's", position)
	}
	if c := p.Status().Counts; refused.Load() != 1 || c.QueueFull != 1 || c.Requests != calls+1 {
		t.Errorf("%d calls were refused, counts %+v", refused.Load(), c)
	}
}

// order takes all calls out of a queue, and returns their names.
func order(q *queue, names map[*waiter]string) string {
	var served []string
	for w := q.next(); w != nil; w = q.next() {
		served = append(served, names[w])
	}
	return strings.Join(served, " ")
}

// TestTurns: clients take turns, and each call without a client has a turn of
// its own.
func TestTurns(t *testing.T) {
	q := newQueue(100)
	names := map[*waiter]string{}
	join := func(client, calls string) {
		var key netip.Prefix
		if client != "" {
			key = prefix(client)
		}
		for call := range strings.FieldsSeq(calls) {
			w, _ := q.join(task{client: key})
			names[w] = call
		}
	}
	join("192.0.2.1/32", "a1 a2 a3 a4")
	join("", "x y")
	join("192.0.2.2/32", "b1 b2")
	join("192.0.2.3/32", "c1")
	if got, want := order(&q, names), "a1 x y b1 c1 a2 b2 a3 a4"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

// TestFullQueue: the client that has most calls loses its newest one, and a
// client can't take more than its share from others.
func TestFullQueue(t *testing.T) {
	q := newQueue(6)
	var greedys []*waiter
	for range 6 {
		w, evicted := q.join(task{client: greedy})
		if w == nil || evicted != nil {
			t.Fatal("there was room")
		}
		greedys = append(greedys, w)
	}
	if w, _ := q.join(task{client: greedy}); w != nil {
		t.Error("the greedy client has more than the queue holds")
	}
	for i := range 3 {
		w, evicted := q.join(task{client: modest})
		if w == nil || evicted != greedys[5-i] || evicted.waits {
			t.Fatalf("call %d: %v, evicted %v", i, w, evicted)
		}
	}
	if w, _ := q.join(task{client: modest}); w != nil {
		t.Error("the modest client took more than half")
	}
	if w, evicted := q.join(task{client: netip.Prefix{}}); w == nil || evicted == nil {
		t.Error("a third client found no room")
	}
	if q.len() != 6 {
		t.Errorf("the queue has %d calls", q.len())
	}
}

// FuzzQueue compares the queue with a plain one that counts and searches.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 7, 2, 6, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		const limit = 8
		ops = ops[:min(len(ops), 500)]
		q := newQueue(limit)
		keys := []netip.Prefix{{}, greedy, modest, prefix("192.0.2.9/32")}
		var waiting []*waiter // in the order in which they came
		count := func(c *client) (n int) {
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
				w := q.next()
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
					if !q.leave(w) || q.leave(w) {
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
				w, evicted := q.join(task{client: key})
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
			if q.len() != len(waiting) || ranked != q.turns.n || longest != q.longest || len(q.clients) > q.turns.n {
				t.Fatalf("%d calls, want %d; %d clients in ranks up to %d, which should be %d; %d clients, %d turns", q.len(), len(waiting), ranked, q.longest, longest, len(q.clients), q.turns.n)
			}
		}
	})
}

// BenchmarkQueue: the cost of a call doesn't grow with the calls that wait.
func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{10, 100_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			q := newQueue(waiting)
			clients := make([]netip.Prefix, 100)
			for i := range clients {
				clients[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)
			}
			for range waiting { // all of one client
				q.join(task{client: greedy})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if w, _ := q.join(task{client: clients[i%len(clients)]}); w != nil {
					q.next()
				}
			}
		})
	}
}
