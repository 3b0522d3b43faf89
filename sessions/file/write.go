package file

import (
	"bytes"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"mkd/sessions"
)

// write does the swaps. Those that came while the last transaction was written share
// the next one.
func (s *Store) write() {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for s.db.Load() == nil {
		select {
		case <-time.After(s.takeOver()):
		case <-s.ctx.Done():
			return
		}
	}
	for {
		var batch []*swap
		select {
		case w := <-s.queue:
			batch = append(batch, w)
			for more := true; more && len(batch) < queued; {
				select {
				case w := <-s.queue:
					batch = append(batch, w)
				default:
					more = false
				}
			}
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		err := s.apply(batch)
		for _, w := range batch {
			w.done <- err
		}
	}
}

// takeOver opens a file that another process has closed. If that fails, it is to be tried
// again after pause.
func (s *Store) takeOver() (pause time.Duration) {
	err := s.open(time.Millisecond)
	switch {
	case err == nil:
		s.opts.Logger.Info("the session file is free, and in use here now", "file", s.opts.Path)
		return 0
	case errors.Is(err, errLocked):
		return takeOverTime
	}
	s.opts.Logger.Error("the session file can't be opened; trying again", "error", err, "after", openAgainTime)
	return openAgainTime
}

// apply does swaps, and removes what has expired and what is too much, in one
// transaction.
func (s *Store) apply(batch []*swap) error {
	n := 0
	err := s.use(func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error {
			n = int(s.len.Load())
			x := &index{tx.Bucket(recordsBucket), tx.Bucket(expiryBucket), tx.Bucket(clientsBucket), s.clients, s.used}
			for _, w := range batch {
				added, err := w.do(x)
				if err != nil {
					return err
				}
				n += added
			}
			removed, err := sweep(x, n-s.opts.Capacity)
			n -= removed
			return err
		})
	})
	if err == nil {
		s.len.Store(int64(n))
		return nil
	}
	if s.db.Load() == nil {
		return err
	}
	return errors.Join(err, s.use(func(db *bolt.DB) error {
		return db.View(func(tx *bolt.Tx) error {
			s.clients = countClients(tx, s.opts.Capacity) // nothing was changed
			return nil
		})
	}))
}

// do does a swap, and returns how many sessions it added.
func (w *swap) do(x *index) (added int, err error) {
	now := x.records.Get(w.token[:])
	if len(now) < 8 {
		now = nil
	}
	var revision []byte
	if now != nil {
		revision = sessions.Revision(now[8:])
		if bytes.Compare(now[:8], expiryOf(time.Now())) <= 0 {
			revision = nil // expired: there is none
		}
	}
	w.swapped = bytes.Equal(revision, w.old)
	if !w.swapped {
		return 0, nil
	}
	expires := expiryOf(w.expires)
	added = 1
	if now != nil {
		added = 0
		if err := x.remove(bytes.Clone(now[:8]), w.token[:]); err != nil {
			return 0, err
		}
	}
	return added, errors.Join(
		x.put(expires, w.token[:], w.client),
		x.records.Put(w.token[:], append(expires, w.sealed...)))
}

// sweep removes the sessions that have expired, and excess more, see victim. It returns
// how many.
func sweep(x *index, excess int) (removed int, err error) {
	now := expiryOf(time.Now())
	var old [][]byte
	c := x.expiry.Cursor()
	for key, _ := c.First(); key != nil && len(old) < maxSweep && bytes.Compare(key, now) < 0; key, _ = c.Next() {
		old = append(old, bytes.Clone(key))
	}
	for _, key := range old {
		n := min(len(key), expirySize) // less than that in a damaged file
		if err := x.forget(key[:n], key[n:]); err != nil {
			return removed, err
		}
		removed++
	}
	for removed < min(excess, maxSweep) {
		expires, token := x.victim()
		if token == nil {
			break
		}
		if err := x.forget(expires, token); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
