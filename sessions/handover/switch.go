// Package handover gives the sessions of one process to another, which then owns them.
//
// The process that had them keeps a Switch in front of its store. While the sessions
// move, operations wait; afterwards they go to the new owner, through a Remote. So
// there is one owner at a time, and a client that leaves the old process is resumed by
// the new one with all that it did.
package handover

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mkd/megaki"
)

// moveWait is how long an operation waits for sessions that move. Then it fails as with a
// store that is down: better a session that can't be resumed than a handshake that takes
// too long.
const moveWait = 5 * time.Second

var errMoving = fmt.Errorf("%w: the sessions move to another process", megaki.ErrStoreDown)

// Switch is a megaki.SessionStore in front of another, which can be replaced while it
// is used.
type Switch struct {
	mu     sync.Mutex
	store  megaki.SessionStore
	moving chan struct{}  // closed when the sessions have moved; nil: they don't move
	using  sync.WaitGroup // operations in flight; none begins while the sessions move
}

var (
	_ megaki.SessionStore = (*Switch)(nil)
	_ megaki.Toucher      = (*Switch)(nil)
)

// NewSwitch returns a Switch in front of a store.
func NewSwitch(store megaki.SessionStore) *Switch { return &Switch{store: store} }

// Store returns the store behind the Switch.
func (s *Switch) Store() megaki.SessionStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// Freeze has operations wait, once those in flight have ended, until the function that
// it returns is called. That puts another store behind the Switch; nil keeps the one
// that is there. Freeze isn't called again before that.
func (s *Switch) Freeze() (thaw func(megaki.SessionStore)) {
	moving := make(chan struct{})
	s.mu.Lock()
	s.moving = moving
	s.mu.Unlock()
	s.using.Wait()
	var once sync.Once
	return func(next megaki.SessionStore) {
		once.Do(func() {
			s.mu.Lock()
			if next != nil {
				s.store = next
			}
			s.moving = nil
			s.mu.Unlock()
			close(moving)
		})
	}
}

// begin returns the store for an operation, which calls s.using.Done at its end. While the
// sessions move it returns what is closed afterwards.
func (s *Switch) begin() (store megaki.SessionStore, moving <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moving != nil {
		return nil, s.moving
	}
	s.using.Add(1)
	return s.store, nil
}

// await is begin, and waits while the sessions move.
func (s *Switch) await(ctx context.Context) (megaki.SessionStore, error) {
	store, moving := s.begin()
	if moving == nil {
		return store, nil
	}
	late := time.NewTimer(moveWait)
	defer late.Stop()
	for moving != nil {
		select {
		case <-moving:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-late.C:
			return nil, errMoving
		}
		store, moving = s.begin()
	}
	return store, nil
}

// Load implements megaki.SessionStore.
func (s *Switch) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	store, err := s.await(ctx)
	if err != nil {
		return nil, err
	}
	defer s.using.Done()
	return store.Load(ctx, t)
}

// CompareAndSwap implements megaki.SessionStore.
func (s *Switch) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	store, err := s.await(ctx)
	if err != nil {
		return false, err
	}
	defer s.using.Done()
	return store.CompareAndSwap(ctx, t, old, next)
}

// Touch implements megaki.Toucher. It must not wait, so that it does nothing while the
// sessions move.
func (s *Switch) Touch(t megaki.Token) {
	store, moving := s.begin()
	if moving != nil {
		return
	}
	defer s.using.Done()
	if toucher, ok := store.(megaki.Toucher); ok {
		toucher.Touch(t)
	}
}
