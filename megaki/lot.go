package megaki

import (
	"container/list"
	"runtime/debug"
	"sync"
	"time"
)

// restAfter is how long a connection waits for a message on its goroutine. Then
// it rests.
const restAfter = time.Second

// lot is where the connections of a server rest: no goroutine waits for their next
// message, and they hold nothing that can be made anew from their keys. All
// sockets wait in one set, which the system watches.
type lot struct {
	mu      sync.Mutex
	set     pollSet // opened for the first connection
	opened  bool
	closed  bool
	lastID  uint64
	resting map[uint64]*list.Element // of order
	order   list.List                // of *rest, the one that is due first in front: all wait as long

	release  *time.Timer // gives the system the memory that the connections have dropped
	released int         // connections that rested when it was last started
}

// releaseStep is how many more connections have to rest before the memory that they
// have dropped is released, and releaseDelay how long that waits for still more:
// an idle process would keep it for minutes.
const (
	releaseStep  = 1024
	releaseDelay = 5 * time.Second
)

// rest is a connection that rests. Its id is never used again, unlike descriptors:
// an event of the set that came too late meets no other connection.
type rest struct {
	id    uint64
	conn  *serverConn
	until time.Time // then it has been idle for too long
}

// park has a connection rest until there is something to read, and reports whether
// it does: from then on it isn't the caller's.
func (l *lot) park(c *serverConn, until time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if !l.opened {
		if err := l.set.open(); err != nil {
			return false
		}
		l.opened, l.resting = true, make(map[uint64]*list.Element)
		go l.watch()
	}
	l.lastID++
	if err := l.set.add(c.wire.raw, l.lastID, c.registered); err != nil {
		return false // it was closed, or the set is full
	}
	c.registered, c.restID = true, l.lastID
	l.resting[l.lastID] = l.order.PushBack(&rest{l.lastID, c, until})
	if l.order.Len() == 1 {
		l.set.wakeAt(until)
	}
	switch n := len(l.resting); {
	case n < l.released/2:
		l.released = n
	case n >= l.released+releaseStep:
		l.released = n
		if l.release == nil {
			l.release = time.AfterFunc(releaseDelay, debug.FreeOSMemory)
		} else {
			l.release.Reset(releaseDelay)
		}
	}
	return true
}

// wake has a connection that rests carry on, as if something had come. It does
// nothing if the connection doesn't rest.
func (l *lot) wake(c *serverConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.resting[c.restID]; e != nil && e.Value.(*rest).conn == c {
		l.remove(e)
		go c.run()
	}
}

func (l *lot) remove(e *list.Element) {
	l.order.Remove(e)
	delete(l.resting, e.Value.(*rest).id)
}

// watch has connections carry on when something has come for them, and ends those
// that are due.
func (l *lot) watch() {
	for {
		ids, err := l.set.wait()
		l.mu.Lock()
		if l.closed || err != nil {
			l.abandon()
			l.mu.Unlock()
			return
		}
		for _, id := range ids {
			if e := l.resting[id]; e != nil {
				l.remove(e)
				go e.Value.(*rest).conn.run()
			}
		}
		now := time.Now()
		for e := l.order.Front(); e != nil && !now.Before(e.Value.(*rest).until); e = l.order.Front() {
			l.remove(e)
			go e.Value.(*rest).conn.end(errIdle)
		}
		next := time.Time{}
		if e := l.order.Front(); e != nil {
			next = e.Value.(*rest).until
		}
		l.set.wakeAt(next)
		l.mu.Unlock()
	}
}

// abandon gives all connections their goroutines back: the set has failed, or the
// server is closed.
func (l *lot) abandon() {
	for e := l.order.Front(); e != nil; e = l.order.Front() {
		l.remove(e)
		go e.Value.(*rest).conn.run()
	}
	if !l.closed {
		l.closed = true
		l.set.close()
	}
}

// close ends the watch. No connection rests from now on.
func (l *lot) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	if l.opened {
		l.set.close()
	}
}
