package file

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// Keys that have not even a client ended Open, and with it the daemon.
func TestKeysWithoutClient(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	open(t, o).Close()
	db, err := bolt.Open(o.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(clientsBucket).Put([]byte{1, 2, 3}, nil) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	token := storetest.NewToken()
	storetest.Swap(t, s, token, nil, storetest.NewRecord(1))
	if storetest.Load(t, s, token) == nil {
		t.Error("the session isn't there")
	}
}

// TestDamagedWhileOpen: damage that is met later once ended the daemon. Now the store fails,
// and can be closed.
func TestDamagedWhileOpen(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"overwritten": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt(bytes.Repeat([]byte{0xFF}, 60*os.Getpagesize()), int64(2*os.Getpagesize()))
			return err
		},
		"cut": func(path string) error { return os.Truncate(path, int64(2*os.Getpagesize())) },
	} {
		for _, swapFirst := range []bool{false, true} {
			o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
			s := open(t, o)
			token := storetest.NewToken()
			storetest.Swap(t, s, token, nil, storetest.NewRecord(1))
			if err := damage(o.Path); err != nil {
				t.Fatal(err)
			}
			load := func() {
				if _, err := s.Load(t.Context(), token); err == nil || !strings.Contains(err.Error(), "is damaged") {
					t.Errorf("%s: Load returns %v", name, err)
				}
			}
			if !swapFirst {
				load()
			}
			if ok, err := s.CompareAndSwap(t.Context(), storetest.NewToken(), nil, storetest.NewRecord(2)); ok || err == nil || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("%s: CompareAndSwap returns %v, %v", name, ok, err)
			}
			load()
			closed := make(chan error, 1)
			go func() { closed <- s.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: Close doesn't return", name)
			}
		}
	}
}

// TestDamagedBefore: a file whose pages are damaged is an error of Open.
func TestDamagedBefore(t *testing.T) {
	o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
	s := open(t, o)
	for i := range 100 {
		storetest.Swap(t, s, storetest.NewToken(), nil, storetest.NewRecord(i))
	}
	s.Close()
	whole, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for at := 2 * os.Getpagesize(); at < len(whole); at += os.Getpagesize() {
		damaged := bytes.Clone(whole)
		copy(damaged[at:], bytes.Repeat([]byte{0xFF}, 64))
		if err := os.WriteFile(o.Path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := New(o)
		if err := s.Open(); err == nil {
			s.Close() // the page isn't in use, or not read yet
		} else if failed++; !strings.Contains(err.Error(), "move it away") {
			t.Errorf("page %d: %v", at/os.Getpagesize(), err)
		}
		if err := os.Remove(o.Path); err != nil { // a damaged file may be closed later
			t.Fatal(err)
		}
	}
	if failed == 0 {
		t.Error("no page was read")
	}
}

// attempts counts the lines of a log about attempts to open a file.
type attempts struct{ atomic.Int64 }

func (a *attempts) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("can't be opened")) {
		a.Add(1)
	}
	return len(line), nil
}

// TestTakeOverDamaged: a file that another process left damaged was opened, and logged, ten
// times a second. It is opened once somebody has moved the damaged one away.
func TestTakeOverDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, filepath.Join(t.TempDir(), "sessions.db"), 1)
		var failed attempts
		o.Logger = slog.New(slog.NewTextHandler(&failed, nil))
		other, err := bolt.Open(o.Path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, o)
		if err := os.WriteFile(o.Path, bytes.Repeat([]byte("damaged"), 10000), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := failed.Load(); n < 5 || n > 7 {
			t.Errorf("%d attempts in a minute", n)
		}
		if err := os.Remove(o.Path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		storetest.Swap(t, s, storetest.NewToken(), nil, storetest.NewRecord(1))
		s.Close()
	})
}

// TestShortRecord: a value that is too short to be a record is none, and a session takes its
// place.
func TestShortRecord(t *testing.T) {
	s := open(t, options(t, filepath.Join(t.TempDir(), "sessions.db"), 1))
	for n := range 10 {
		token := storetest.NewToken()
		err := s.db.Load().Update(func(tx *bolt.Tx) error { return tx.Bucket(recordsBucket).Put(token[:], bytes.Repeat([]byte{255}, n)) })
		if err != nil {
			t.Fatal(err)
		}
		if storetest.Load(t, s, token) != nil {
			t.Errorf("%d bytes are a record", n)
		}
		if swapped := storetest.Swap(t, s, token, nil, storetest.NewRecord(1)); !swapped || storetest.Load(t, s, token) == nil {
			t.Errorf("%d bytes are in the way of a session", n)
		}
	}
}
