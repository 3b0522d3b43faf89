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
	for s.db.Load() == nil && s.takeOver() != nil {
		select {
		case <-time.After(takeOverTime):
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

// takeOver opens a file that another process has closed.
func (s *Store) takeOver() error {
	err := s.open(time.Millisecond)
	switch {
	case err == nil:
		s.opts.Logger.Info("the session file is free, and in use here now", "file", s.opts.Path)
	case !errors.Is(err, errLocked):
		s.opts.Logger.Error("the session file can't be opened; trying again", "error", err)
	}
	return err
}

// apply does swaps, and removes what has expired and what is too much, in one
// transaction.
func (s *Store) apply(batch []*swap) error {
	n := int(s.len.Load())
	err := s.db.Load().Update(func(tx *bolt.Tx) error {
		n = int(s.len.Load())
		records, expiry := tx.Bucket(recordsBucket), tx.Bucket(expiryBucket)
		for _, w := range batch {
			added, err := w.do(records, expiry)
			if err != nil {
				return err
			}
			n += added
		}
		removed, err := sweep(records, expiry, n-s.opts.Capacity)
		n -= removed
		return err
	})
	if err == nil {
		s.len.Store(int64(n))
	}
	return err
}

// do does a swap, and returns how many sessions it added.
func (w *swap) do(records, expiry *bolt.Bucket) (added int, err error) {
	now := records.Get(w.token[:])
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
		if err := expiry.Delete(append(bytes.Clone(now[:8]), w.token[:]...)); err != nil {
			return 0, err
		}
	}
	return added, errors.Join(
		expiry.Put(append(bytes.Clone(expires), w.token[:]...), nil),
		records.Put(w.token[:], append(expires, w.sealed...)))
}

// sweep removes the sessions that have expired, and excess more, those first whose
// handshake was first. It returns how many.
func sweep(records, expiry *bolt.Bucket, excess int) (removed int, err error) {
	now := expiryOf(time.Now())
	var old [][]byte
	c := expiry.Cursor()
	for key, _ := c.First(); key != nil && len(old) < maxSweep; key, _ = c.Next() {
		if len(old) >= excess && bytes.Compare(key[:8], now) > 0 {
			break
		}
		old = append(old, bytes.Clone(key))
	}
	for _, key := range old {
		if err := errors.Join(expiry.Delete(key), records.Delete(key[8:])); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
