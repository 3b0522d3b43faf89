package php

import (
	"net/netip"
	"sync"
	"time"
)

// queue is the calls that wait for a worker. Clients take turns; the calls of one
// client are served in the order in which they came. If the queue is full, the
// client that has most calls in it loses its newest one, unless the client of the
// new call would have as many. Every operation takes constant time. The pool's
// mutex guards it.
type queue struct {
	limit   int
	n       int
	turns   list[client] // those with waiting calls; the first is next
	clients map[netip.Prefix]*client

	// The clients by the number of their waiting calls, up to the highest there was, and
	// the highest number.
	ranks   []list[client]
	longest int
}

// client is a client with waiting calls.
type client struct {
	key     netip.Prefix // the zero Prefix: not in clients
	waiting list[waiter]
	turn    link[client]
	rank    link[client]
}

// waiter is a call that waits.
type waiter struct {
	task    task
	outcome chan outcome // gets one
	client  *client
	link    link[waiter] // among the client's
	waits   bool         // still
	timer   *time.Timer  // of await
}

// waiters are used again for other calls.
var waiters = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	w := &waiter{outcome: make(chan outcome, 1), timer: timer}
	w.link.of = w
	return w
}}

// forget gives back a waiter that waits no longer, and whose outcome was taken if it
// has got one.
func (wt *waiter) forget() {
	wt.task, wt.client = task{}, nil
	waiters.Put(wt)
}

// outcome is how a wait ends: with a worker, or with an error.
type outcome struct {
	worker *worker
	err    error
}

func newQueue(limit int) queue {
	return queue{limit: limit, clients: make(map[netip.Prefix]*client), ranks: make([]list[client], 1)}
}

func (q *queue) len() int { return q.n }

// join appends a call, nil if the queue has no room for it. evicted,
// if not nil, is a call that had to leave for it.
func (q *queue) join(t task) (w, evicted *waiter) {
	key := t.client
	c := q.clients[key]
	if q.n >= q.limit {
		has := 0
		if c != nil {
			has = c.waiting.n
		}
		if q.longest <= has+1 {
			return nil, nil
		}
		evicted = q.ranks[q.longest].first.of.waiting.last.of // the greediest client's
		q.leave(evicted)
	}
	if c == nil {
		c = &client{key: key}
		c.turn.of, c.rank.of = c, c
		q.turns.pushBack(&c.turn)
		if key.IsValid() {
			q.clients[key] = c
		}
	}
	w = waiters.Get().(*waiter)
	w.task, w.client, w.waits = t, c, true
	c.waiting.pushBack(&w.link)
	q.n++
	q.setRank(c, c.waiting.n-1)
	return w, evicted
}

// leave takes a waiter out, and reports whether it was still waiting: if not, its
// channel has an outcome.
func (q *queue) leave(w *waiter) bool {
	if !w.waits {
		return false
	}
	w.waits = false
	c := w.client
	c.waiting.remove(&w.link)
	q.n--
	q.setRank(c, c.waiting.n+1)
	if c.waiting.n == 0 {
		q.turns.remove(&c.turn)
		delete(q.clients, c.key)
	}
	return true
}

// next takes out the first call of the client whose turn it is, nil if there is
// none.
func (q *queue) next() *waiter {
	turn := q.turns.first
	if turn == nil {
		return nil
	}
	q.turns.remove(turn)
	q.turns.pushBack(turn)
	w := turn.of.waiting.first.of
	q.leave(w)
	return w
}

// setRank moves a client, which had one waiting call more or less before, to its
// rank.
func (q *queue) setRank(c *client, before int) {
	if before > 0 {
		q.ranks[before].remove(&c.rank)
	}
	n := c.waiting.n
	if n > 0 {
		if n == len(q.ranks) {
			q.ranks = append(q.ranks, list[client]{})
		}
		q.ranks[n].pushBack(&c.rank)
	}
	if q.longest = max(q.longest, n); q.ranks[q.longest].n == 0 {
		q.longest = n // it had the highest number alone
	}
}
