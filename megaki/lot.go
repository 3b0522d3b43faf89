package megaki

import (
	"runtime/debug"
	"sync"
	"time"
)

// restAfter is how long a connection waits for a message on its goroutine. Then
// it rests.
const restAfter = time.Second

// lot is where the connections of a server rest: no goroutine waits for their next
// message, and they hold nothing that can be made anew from their keys and their
// descriptors. All descriptors wait in one set, which the system watches.
type lot struct {
	mu          sync.Mutex
	set         pollSet // opened for the first connection
	opened      bool
	closed      bool
	lastID      uint64
	resting     map[uint64]*serverConn
	first, last *serverConn // the one that is due first, and the last one: all wait as long

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

// resting is the part of a connection that belongs to the lot. An id is never used
// again, unlike descriptors: an event of the set that came too late meets no other
// connection.
type resting struct {
	id            uint64
	before, after *serverConn
}

// park has a connection rest until there is something to read, and reports whether
// it does: from then on it isn't the caller's.
func (l *lot) park(c *serverConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || c.srv.closed.Load() {
		return false
	}
	if !l.opened {
		if err := l.set.open(); err != nil {
			return false
		}
		l.opened, l.resting = true, make(map[uint64]*serverConn)
		go l.watch()
	}
	l.lastID++
	if err := l.set.add(c.fd, l.lastID); err != nil {
		return false // the set is full
	}
	c.resting = resting{id: l.lastID, before: l.last}
	l.resting[c.id] = c
	if l.last != nil {
		l.last.after = c
	} else {
		l.first = c
		l.set.wakeAt(c.readBy)
	}
	l.last = c
	switch n := len(l.resting); {
	case n < l.released/2:
		l.released = n
	case n >= l.released+releaseStep:
		l.releaseLater(n)
	}
	return true
}

// releaseLater releases memory after a while, for the n connections that rest now.
func (l *lot) releaseLater(n int) {
	l.released = n
	if l.release == nil {
		l.release = time.AfterFunc(releaseDelay, l.releaseMemory)
	} else {
		l.release.Reset(releaseDelay)
	}
}

// releaseMemory gives the system the memory that connections have dropped, and once
// more later if still more rest by then than ever.
func (l *lot) releaseMemory() {
	debug.FreeOSMemory()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.resting); n > l.released && !l.closed {
		l.releaseLater(n)
	}
}

// wake has a connection that rests carry on, as if something had come. It does
// nothing if the connection doesn't rest.
func (l *lot) wake(c *serverConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resting[c.id] == c {
		l.remove(c)
		go c.wake()
	}
}

func (l *lot) remove(c *serverConn) {
	l.set.remove(c.fd)
	delete(l.resting, c.id)
	if c.before != nil {
		c.before.after = c.after
	} else {
		l.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		l.last = c.before
	}
	c.resting = resting{}
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
			if c := l.resting[id]; c != nil {
				l.remove(c)
				go c.wake()
			}
		}
		now := time.Now()
		for c := l.first; c != nil && !now.Before(c.readBy); c = l.first {
			l.remove(c)
			go c.expire()
		}
		next := time.Time{}
		if l.first != nil {
			next = l.first.readBy
		}
		l.set.wakeAt(next)
		l.mu.Unlock()
	}
}

// abandon gives all connections their goroutines back: the set has failed, or the
// server is closed.
func (l *lot) abandon() {
	for c := l.first; c != nil; c = l.first {
		l.remove(c)
		go c.wake()
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
