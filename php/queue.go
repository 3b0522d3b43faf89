package php

import (
	"sync"
	"time"

	"mkd/share"
)

// waiter is a call that waits for a worker.
type waiter struct {
	task    task
	outcome chan outcome // gets one
	turn    share.Turn[waiter]
	timer   *time.Timer // of await
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
	wt.task, wt.turn = task{}, share.Turn[waiter]{}
	waiters.Put(wt)
}

// outcome is how a wait ends: with a worker, or with an error.
type outcome struct {
	worker *worker
	err    error
}
