package auth

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"mkd/proxy/request"
	"mkd/share"
)

// maxWaiting is how many requests may wait until a password is hashed.
const maxWaiting = 64

// slots bounds how many passwords are hashed at once. Clients take turns for them.
type slots struct {
	used atomic.Int64

	mu      sync.Mutex
	free    int
	waiting *share.Queue[hashTurn]
}

// hashTurn is a request that waits for a slot.
type hashTurn struct {
	turn share.Turn[hashTurn]
	got  chan bool // whether it has the slot; false: it had to leave the queue
}

func newSlots(n int) *slots { return &slots{free: n, waiting: share.NewQueue[hashTurn](maxWaiting)} }

var errHashing = errors.New("too many passwords wait to be checked, or too many of this client")

// hash runs f, which hashes a password, for a client.
func (s *slots) hash(ctx context.Context, client netip.Prefix, f func() (bool, error)) (bool, error) {
	if err := s.take(ctx, client); err != nil {
		return false, err
	}
	defer s.give()
	s.used.Add(1)
	return f()
}

// take takes a slot, for which it may have to wait.
func (s *slots) take(ctx context.Context, client netip.Prefix) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	t := &hashTurn{got: make(chan bool, 1)}
	joined, evicted := s.waiting.Join(t, &t.turn, client)
	if evicted != nil {
		evicted.got <- false
	}
	s.mu.Unlock()
	if !joined {
		return busyHashing()
	}
	select {
	case got := <-t.got:
		if !got {
			return busyHashing()
		}
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	left := s.waiting.Leave(&t.turn)
	s.mu.Unlock()
	if !left && <-t.got { // at this moment
		s.give()
	}
	return context.Cause(ctx)
}

// give gives a slot to who waits next.
func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next := s.waiting.Next(); next != nil {
		next.got <- true
	} else {
		s.free++
	}
}

func busyHashing() error { return &request.Error{Kind: request.Busy, Err: errHashing} }
