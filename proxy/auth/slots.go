package auth

import (
	"context"
	"errors"
	"sync/atomic"

	"mkd/cores"
	"mkd/proxy/request"
)

// maxWaiting is how many requests may wait until a password is hashed.
const maxWaiting = 64

// slots bounds how many passwords are hashed at once: half the cores are left for
// requests that have proven who they are.
type slots struct {
	free    chan struct{}
	waiting atomic.Int64
	used    atomic.Int64
}

func newSlots() *slots { return &slots{free: make(chan struct{}, max(1, cores.Count()/2))} }

var errHashing = errors.New("too many passwords wait to be checked")

// hash runs f, which hashes a password.
func (s *slots) hash(ctx context.Context, f func() bool) (bool, error) {
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return false, &request.Error{Kind: request.Busy, Err: errHashing}
	}
	select {
	case s.free <- struct{}{}:
		s.waiting.Add(-1)
	case <-ctx.Done():
		s.waiting.Add(-1)
		return false, context.Cause(ctx)
	}
	defer func() { <-s.free }()
	s.used.Add(1)
	return f(), nil
}
