package redis

import (
	"context"
	"sync"
	"time"

	"mkd/megaki"
)

const (
	useInterval = 30 * time.Second // between two reports of uses
	maxUses     = 1 << 16          // sessions of a report; other uses are dropped
	useBatch    = 512              // commands sent at once
	useTimeout  = 2 * time.Second  // for a batch
)

// uses are the sessions that were used since the last report to Redis: a message needs nothing
// of the store, so that Redis, if it evicts what was used least recently, would evict
// busy sessions.
type uses struct {
	mu   sync.Mutex
	used map[megaki.Token]struct{}
}

func (u *uses) add(t megaki.Token) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.used == nil {
		u.used = make(map[megaki.Token]struct{})
	}
	if len(u.used) < maxUses {
		u.used[t] = struct{}{}
	}
}

func (u *uses) take() map[megaki.Token]struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	used := u.used
	u.used = nil
	return used
}

// Touch implements megaki.Toucher. It is reported later.
func (s *Store) Touch(t megaki.Token) {
	s.begin.Do(func() { s.reporting.Go(s.reportUses) })
	s.uses.add(t)
}

// reportUses reports now and then, until the store is closed.
func (s *Store) reportUses() {
	tick := time.NewTicker(useInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.touchUsed()
		case <-s.ctx.Done():
			return
		}
	}
}

// touchUsed reports to Redis which sessions were used. If that fails, they are what they were:
// sessions that Redis believes to be idle.
func (s *Store) touchUsed() {
	keys := make([]string, 0, useBatch)
	send := func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, useTimeout)
		defer cancel()
		batch := s.client.Pipeline() // of single keys: those of a Cluster are on several nodes
		for _, key := range keys {
			batch.Touch(ctx, key)
		}
		_, err := batch.Exec(ctx)
		keys = keys[:0]
		return err == nil
	}
	for t := range s.uses.take() {
		if keys = append(keys, s.key(t)); len(keys) == useBatch && !send() {
			return
		}
	}
	if len(keys) > 0 {
		send()
	}
}
