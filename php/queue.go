package php

import "container/list"

// queue is the calls that wait for a worker, the first come first served. The
// pool's mutex guards it.
type queue struct{ waiters list.List }

// waiter is a call that waits.
type waiter struct {
	worker  chan *worker // gets one, or nil when the pool closes
	element *list.Element
}

func (q *queue) len() int { return q.waiters.Len() }

func (q *queue) join() *waiter {
	w := &waiter{worker: make(chan *worker, 1)}
	w.element = q.waiters.PushBack(w)
	return w
}

// leave takes a waiter out, and reports whether it was still waiting: if not,
// its channel has a worker.
func (q *queue) leave(w *waiter) bool {
	if w.element == nil {
		return false
	}
	q.waiters.Remove(w.element)
	w.element = nil
	return true
}

// next takes the first waiter out, nil if there is none.
func (q *queue) next() *waiter {
	e := q.waiters.Front()
	if e == nil {
		return nil
	}
	w := e.Value.(*waiter)
	q.leave(w)
	return w
}
