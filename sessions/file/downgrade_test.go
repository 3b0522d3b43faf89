package file

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"mkd/internal/testserver/storetest"
)

// TestDowngrade has an mkd that doesn't know of clients remove sessions: what is left of
// them must not keep others from being forgotten.
func TestDowngrade(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	o.Capacity = 20
	s := open(t, o)
	for i := range 5 {
		r := storetest.NewRecord(i)
		r.Client = netip.MustParsePrefix("192.0.2.1/32")
		storetest.Swap(t, s, storetest.NewToken(), nil, r)
	}
	s.Close()
	db, err := bolt.Open(o.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		expiry, records := tx.Bucket(expiryBucket), tx.Bucket(recordsBucket)
		for key, _ := expiry.Cursor().First(); key != nil; key, _ = expiry.Cursor().First() {
			if err := errors.Join(records.Delete(key[expirySize:]), expiry.Delete(append([]byte(nil), key...))); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	for i := range 100 {
		storetest.Swap(t, s, storetest.NewToken(), nil, storetest.NewRecord(i))
	}
	n := 0
	s.db.Load().View(func(tx *bolt.Tx) error { n = tx.Bucket(recordsBucket).Stats().KeyN; return nil })
	if n > o.Capacity {
		t.Errorf("the file has %d sessions, more than the capacity of %d", n, o.Capacity)
	}
}
