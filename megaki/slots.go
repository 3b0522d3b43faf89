package megaki

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mkd/cores"
)

// errBusy is returned if the queue for RSA work is full, or took too long.
var errBusy = errors.New("too many handshakes are waiting")

const maxSlotQueue = 4096 // handshakes that may wait for RSA work, of all clients

// quietAfter is how long after a message sessions are no longer busy.
const quietAfter = 100 * time.Millisecond

// slots bounds the RSA work done at once. Waiting clients are served in turn by
// their network, so that a client that floods waits behind itself. While sessions are
// busy one slot stays free, so that handshakes leave a processor to messages.
type slots struct {
	message atomic.Int64 // when a session last had one, in ns since the epoch

	mu      sync.Mutex
	limit   int // of waiting
	size    int // how many there are
	free    int
	waiting int
	queues  map[netip.Prefix]*slotQueue
	turns   []*slotQueue // networks with waiters, the next first
}

type slotQueue struct {
	client  netip.Prefix
	waiters []*slotWaiter
}

type slotWaiter struct {
	granted chan bool // false: evicted by a client that had fewer waiting
}

func newSlots() *slots {
	n := cores.Count()
	return &slots{limit: maxSlotQueue, size: n, free: n, queues: make(map[netip.Prefix]*slotQueue)}
}

// acquire waits for a slot until ctx ends.
func (s *slots) acquire(ctx context.Context, client netip.Prefix) error {
	s.mu.Lock()
	if s.free > s.reserved() && s.waiting == 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	w, err := s.enqueue(client)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case ok := <-w.granted:
		if !ok {
			return errBusy
		}
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case ok := <-w.granted: // just now, too late
		if ok {
			s.hand()
		}
	default:
		s.withdraw(client, w)
	}
	return fmt.Errorf("%w: %w", errBusy, context.Cause(ctx))
}

// busy is called for each message of a session.
func (s *slots) busy(now time.Time) {
	// Written seldom, since all connections share it.
	if at := now.UnixNano(); at-s.message.Load() > int64(quietAfter/8) {
		s.message.Store(at)
	}
}

// reserved returns how many slots are kept for messages.
func (s *slots) reserved() int {
	if s.size > 1 && time.Now().UnixNano()-s.message.Load() < int64(quietAfter) {
		return 1
	}
	return 0
}

func (s *slots) release() {
	s.mu.Lock()
	s.hand()
	s.mu.Unlock()
}

// hand makes a slot free, and gives those that are free to the next in turn.
func (s *slots) hand() {
	s.free++
	for len(s.turns) > 0 && s.free > s.reserved() {
		s.free--
		s.next().granted <- true
	}
}

// next takes the next in turn from its queue.
func (s *slots) next() *slotWaiter {
	q := s.turns[0]
	w := q.waiters[0]
	s.turns = s.turns[1:]
	s.waiting--
	if q.waiters = q.waiters[1:]; len(q.waiters) > 0 {
		s.turns = append(s.turns, q)
	} else {
		delete(s.queues, q.client)
	}
	return w
}

// enqueue puts a client at the end of its network's queue. If too many wait,
// it evicts the last of the longest queue in favour of a shorter one.
func (s *slots) enqueue(client netip.Prefix) (*slotWaiter, error) {
	q := s.queues[client]
	if s.waiting >= s.limit {
		var longest *slotQueue
		for _, l := range s.turns {
			if longest == nil || len(l.waiters) > len(longest.waiters) {
				longest = l
			}
		}
		own := 0
		if q != nil {
			own = len(q.waiters)
		}
		if len(longest.waiters) <= own+1 {
			return nil, errBusy
		}
		last := longest.waiters[len(longest.waiters)-1]
		s.withdraw(longest.client, last)
		last.granted <- false
	}
	if q == nil {
		q = &slotQueue{client: client}
		s.queues[client] = q
		s.turns = append(s.turns, q)
	}
	w := &slotWaiter{granted: make(chan bool, 1)}
	q.waiters = append(q.waiters, w)
	s.waiting++
	return w, nil
}

// withdraw removes a waiter from its queue.
func (s *slots) withdraw(client netip.Prefix, w *slotWaiter) {
	q := s.queues[client]
	for i := range q.waiters {
		if q.waiters[i] == w {
			q.waiters = append(q.waiters[:i], q.waiters[i+1:]...)
			s.waiting--
			break
		}
	}
	if len(q.waiters) > 0 {
		return
	}
	delete(s.queues, client)
	for i := range s.turns {
		if s.turns[i] == q {
			s.turns = append(s.turns[:i], s.turns[i+1:]...)
			break
		}
	}
}
