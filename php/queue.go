package php

import (
	"container/list"
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
	turns   list.List // of *client: those with waiting calls; the first is next
	clients map[netip.Prefix]*client

	// The clients by the number of their waiting calls, and the highest number.
	ranks   map[int]*list.List // of *client; none is empty
	longest int
}

// client is a client with waiting calls.
type client struct {
	key     netip.Prefix // the zero Prefix: not in clients
	waiting list.List    // of *waiter
	turn    *list.Element
	rank    *list.Element
}

// waiter is a call that waits.
type waiter struct {
	task    task
	outcome chan outcome // gets one
	client  *client
	element *list.Element // nil: it waits no longer
	timer   *time.Timer   // of await
}

// waiters are used again for other calls.
var waiters = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &waiter{outcome: make(chan outcome, 1), timer: timer}
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
	return queue{limit: limit, clients: make(map[netip.Prefix]*client), ranks: make(map[int]*list.List)}
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
			has = c.waiting.Len()
		}
		if q.longest <= has+1 {
			return nil, nil
		}
		greediest := q.ranks[q.longest].Front().Value.(*client)
		evicted = greediest.waiting.Back().Value.(*waiter)
		q.leave(evicted)
	}
	if c == nil {
		c = &client{key: key}
		c.turn = q.turns.PushBack(c)
		if key.IsValid() {
			q.clients[key] = c
		}
	}
	w = waiters.Get().(*waiter)
	w.task, w.client = t, c
	w.element = c.waiting.PushBack(w)
	q.n++
	q.setRank(c, c.waiting.Len()-1)
	return w, evicted
}

// leave takes a waiter out, and reports whether it was still waiting: if not, its
// channel has an outcome.
func (q *queue) leave(w *waiter) bool {
	if w.element == nil {
		return false
	}
	c := w.client
	c.waiting.Remove(w.element)
	w.element = nil
	q.n--
	q.setRank(c, c.waiting.Len()+1)
	if c.waiting.Len() == 0 {
		q.turns.Remove(c.turn)
		delete(q.clients, c.key)
	}
	return true
}

// next takes out the first call of the client whose turn it is, nil if there is
// none.
func (q *queue) next() *waiter {
	e := q.turns.Front()
	if e == nil {
		return nil
	}
	q.turns.MoveToBack(e)
	w := e.Value.(*client).waiting.Front().Value.(*waiter)
	q.leave(w)
	return w
}

// setRank moves a client, which had one waiting call more or less before, to its
// rank.
func (q *queue) setRank(c *client, before int) {
	if from := q.ranks[before]; from != nil && c.rank != nil {
		from.Remove(c.rank)
		if from.Len() == 0 {
			delete(q.ranks, before)
		}
	}
	n := c.waiting.Len()
	if n > 0 {
		to := q.ranks[n]
		if to == nil {
			to = new(list.List)
			q.ranks[n] = to
		}
		c.rank = to.PushBack(c)
	}
	if q.longest = max(q.longest, n); q.ranks[q.longest] == nil {
		q.longest = n // it had the highest number alone
	}
}
