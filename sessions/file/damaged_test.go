package file

import (
	"errors"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"mkd/internal/testserver/storetest"
	"mkd/sessions"
)

// Keys that are too short, of a damaged file, ended the writer, and with it the daemon.
func TestShortKeys(t *testing.T) {
	for name, key := range map[string][]byte{"expired": {0}, "not expired": {255, 255, 255}, "no token": {255, 255, 255, 255, 255, 255, 255, 255}} {
		t.Run(name, func(t *testing.T) {
			o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
			o.Capacity = 10
			open(t, o).Close()
			db, err := bolt.Open(o.Path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error {
				id := make([]byte, len(sessions.ClientID{}))
				return errors.Join(tx.Bucket(expiryBucket).Put(key, id), tx.Bucket(clientsBucket).Put(append(id, key...), nil), tx.Bucket(recordsBucket).Put(key, nil))
			})
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			s := open(t, o)
			last := storetest.NewToken()
			for i := range 30 {
				token := storetest.NewToken()
				if i == 29 {
					token = last
				}
				storetest.Swap(t, s, token, nil, storetest.NewRecord(i))
			}
			if storetest.Load(t, s, last) == nil {
				t.Error("the last session isn't there")
			}
			n := 0
			s.db.Load().View(func(tx *bolt.Tx) error { n = tx.Bucket(recordsBucket).Stats().KeyN; return nil })
			if n > o.Capacity+1 {
				t.Errorf("the file has %d records, more than the capacity of %d and the damaged one", n, o.Capacity)
			}
		})
	}
}
