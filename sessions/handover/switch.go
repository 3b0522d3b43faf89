// Package handover gives the sessions of one process to another, which then owns them.
//
// The process that had them keeps a Switch in front of its store. While the sessions
// move, operations wait; afterwards they go to the new owner, through a Remote. So
// there is one owner at a time, and a client that leaves the old process is resumed by
// the new one with all that it did.
package handover

import (
	"context"
	"sync"

	"mkd/megaki"
)

// Switch is a megaki.SessionStore in front of another, which can be replaced while it
// is used.
type Switch struct {
	mu    sync.RWMutex // held for writing while the store is replaced
	store megaki.SessionStore
}

var (
	_ megaki.SessionStore = (*Switch)(nil)
	_ megaki.Toucher      = (*Switch)(nil)
)

// NewSwitch returns a Switch in front of a store.
func NewSwitch(store megaki.SessionStore) *Switch { return &Switch{store: store} }

// Store returns the store behind the Switch.
func (s *Switch) Store() megaki.SessionStore {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.store
}

// Freeze has operations wait, once those in flight have ended, until the function that
// it returns is called. That puts another store behind the Switch; nil keeps the one
// that is there.
func (s *Switch) Freeze() (thaw func(megaki.SessionStore)) {
	s.mu.Lock()
	var once sync.Once
	return func(next megaki.SessionStore) {
		once.Do(func() {
			if next != nil {
				s.store = next
			}
			s.mu.Unlock()
		})
	}
}

// Load implements megaki.SessionStore.
func (s *Switch) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.store.Load(ctx, t)
}

// CompareAndSwap implements megaki.SessionStore.
func (s *Switch) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.store.CompareAndSwap(ctx, t, old, next)
}

// Touch implements megaki.Toucher. It must not wait, so that it does nothing while the
// sessions move.
func (s *Switch) Touch(t megaki.Token) {
	if !s.mu.TryRLock() {
		return
	}
	defer s.mu.RUnlock()
	if toucher, ok := s.store.(megaki.Toucher); ok {
		toucher.Touch(t)
	}
}
