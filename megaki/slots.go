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
	"mkd/share"
)

// errBusy is returned if the queue for RSA work is full, or took too long.
var errBusy = errors.New("too many handshakes are waiting")

const maxSlotQueue = 4096 // handshakes that may wait for RSA work, of all clients

// quietAfter is how long after a message sessions are no longer busy.
const quietAfter = 100 * time.Millisecond

// slots bounds the RSA work done at once. Waiting clients take turns, see share.Queue, so
// that a client that floods waits behind itself. While sessions are busy one slot stays
// free, so that handshakes leave a processor to messages.
type slots struct {
	made    time.Time
	message atomic.Int64 // when a session last had one, in ns since made

	mu    sync.Mutex
	size  int // how many there are
	free  int
	queue *share.Queue[slotWaiter]
}

type slotWaiter struct {
	turn    share.Turn[slotWaiter]
	granted chan bool // false: evicted by a client that had fewer waiting
}

func newSlots() *slots {
	n := cores.Count()
	s := &slots{made: time.Now(), size: n, free: n, queue: share.NewQueue[slotWaiter](maxSlotQueue)}
	s.message.Store(-int64(quietAfter))
	return s
}

// acquire waits for a slot until ctx ends. client is its network, see share.Network.
func (s *slots) acquire(ctx context.Context, client netip.Prefix) error {
	w, err := s.tryAcquire(client)
	if w == nil {
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
	if !s.queue.Leave(&w.turn) && <-w.granted { // just now, too late
		s.hand()
	}
	return fmt.Errorf("%w: %w", errBusy, context.Cause(ctx))
}

// tryAcquire takes a slot if one is free. Otherwise it returns the client's place in the
// queue, or an error if that is full.
func (s *slots) tryAcquire(client netip.Prefix) (*slotWaiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > s.reserved() && s.queue.Len() == 0 {
		s.free--
		return nil, nil
	}
	w := &slotWaiter{granted: make(chan bool, 1)}
	joined, evicted := s.queue.Join(w, &w.turn, client)
	if evicted != nil {
		evicted.granted <- false
	}
	if !joined {
		return nil, errBusy
	}
	return w, nil
}

// busy is called for each message of a session.
func (s *slots) busy(now time.Time) {
	// Written seldom, since all connections share it.
	if at := int64(now.Sub(s.made)); at-s.message.Load() > int64(quietAfter/8) {
		s.message.Store(at)
	}
}

// reserved returns how many slots are kept for messages.
func (s *slots) reserved() int {
	if s.size > 1 && int64(time.Since(s.made))-s.message.Load() < int64(quietAfter) {
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
	for s.queue.Len() > 0 && s.free > s.reserved() {
		s.free--
		s.queue.Next().granted <- true
	}
}
