package handover

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mkd/megaki"
)

func record(n byte, expires time.Time) *megaki.Record {
	r := &megaki.Record{Expires: expires}
	r.Current.Key[0] = n
	return r
}

func put(t *testing.T, s megaki.SessionStore, n byte, expires time.Time) {
	t.Helper()
	if ok, err := s.CompareAndSwap(t.Context(), megaki.Token{n}, nil, record(n, expires)); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
}

// TestMove: all sessions arrive that haven't expired, and those that were used least
// recently are still the first to be evicted.
func TestMove(t *testing.T) {
	old, next := megaki.NewMemoryStore(100), megaki.NewMemoryStore(3)
	later := time.Now().Add(time.Hour)
	put(t, old, 1, later)
	put(t, old, 2, later)
	put(t, old, 3, time.Now().Add(-time.Hour))
	put(t, old, 4, later)
	old.Touch(megaki.Token{1})
	r, w := net.Pipe()
	go func() {
		defer w.Close()
		if err := Send(gob.NewEncoder(w), old); err != nil {
			t.Error(err)
		}
	}()
	if n, err := Receive(gob.NewDecoder(r), next); n != 3 || err != nil || next.Len() != 3 {
		t.Fatalf("%d sessions, %v", n, err)
	}
	put(t, next, 5, later)
	for n, want := range map[byte]bool{1: true, 2: false, 4: true, 5: true} {
		got, err := next.Load(t.Context(), megaki.Token{n})
		if err != nil || (got != nil) != want || got != nil && got.Current.Key[0] != n {
			t.Errorf("session %d: %v, %v", n, got, err)
		}
	}
}

// TestMoveKeepsOrder: the sessions arrive in the order of their last use.
func TestMoveKeepsOrder(t *testing.T) {
	const n = 100 // of one part of a store
	old := megaki.NewMemoryStore(n)
	for i := range n {
		put(t, old, byte(i), time.Now().Add(time.Hour))
	}
	order := func(s *megaki.MemoryStore) (all []byte) {
		for token := range s.All() {
			all = append(all, token[0])
		}
		return all
	}
	for range 20 {
		var sent bytes.Buffer
		if err := Send(gob.NewEncoder(&sent), old); err != nil {
			t.Fatal(err)
		}
		next := megaki.NewMemoryStore(n)
		if _, err := Receive(gob.NewDecoder(&sent), next); err != nil {
			t.Fatal(err)
		}
		if got, want := order(next), order(old); !bytes.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

// TestMoveCutOff: a handover that breaks off is an error, and no end.
func TestMoveCutOff(t *testing.T) {
	old := megaki.NewMemoryStore(100)
	put(t, old, 1, time.Now().Add(time.Hour))
	r, w := io.Pipe()
	go func() {
		Send(gob.NewEncoder(&firstBytes{w: w, left: 300}), old)
		w.Close()
	}()
	if _, err := Receive(gob.NewDecoder(r), megaki.NewMemoryStore(3)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

type firstBytes struct {
	w    io.Writer
	left int
}

func (f *firstBytes) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, io.ErrShortWrite
	}
	f.left -= len(p)
	return f.w.Write(p)
}

// TestRemote: operations wait while the sessions move, and then reach the owner.
func TestRemote(t *testing.T) {
	owner := megaki.NewMemoryStore(100)
	put(t, owner, 1, time.Now().Add(time.Hour))
	a, b := net.Pipe()
	go Serve(b, owner)
	remote := NewRemote(a)
	defer remote.Close()
	s := NewSwitch(megaki.NewMemoryStore(100))
	thaw := s.Freeze()
	s.Touch(megaki.Token{1}) // doesn't wait
	var wg sync.WaitGroup
	wg.Go(func() {
		found, err := s.Load(t.Context(), megaki.Token{1})
		if err != nil || found == nil || found.Current.Key[0] != 1 {
			t.Errorf("%v, %v", found, err)
			return
		}
		if missing, err := s.Load(t.Context(), megaki.Token{9}); missing != nil || err != nil {
			t.Errorf("%v, %v", missing, err)
		}
		next := record(7, found.Expires)
		if ok, err := s.CompareAndSwap(t.Context(), megaki.Token{1}, found, next); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		if ok, err := s.CompareAndSwap(t.Context(), megaki.Token{1}, found, next); ok || err != nil {
			t.Errorf("a record that has changed meanwhile was swapped: %v, %v", ok, err)
		}
	})
	thaw(remote)
	wg.Wait()
	if r, err := owner.Load(t.Context(), megaki.Token{1}); err != nil || r == nil || r.Current.Key[0] != 7 {
		t.Errorf("%v, %v", r, err)
	}
	b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := s.Load(ctx, megaki.Token{1}); err == nil || ctx.Err() != nil {
		t.Errorf("the owner has gone: %v", err)
	}
}

// brokenStore fails.
type brokenStore struct{}

func (brokenStore) Load(context.Context, megaki.Token) (*megaki.Record, error) {
	return nil, errors.New("can't be read")
}

func (brokenStore) CompareAndSwap(context.Context, megaki.Token, *megaki.Record, *megaki.Record) (bool, error) {
	return false, errors.New("can't be written")
}

// TestRemoteOfBrokenStore: that the owner's store fails is no session that there isn't.
func TestRemoteOfBrokenStore(t *testing.T) {
	a, b := net.Pipe()
	go Serve(b, brokenStore{})
	remote := NewRemote(a)
	defer remote.Close()
	if r, err := remote.Load(t.Context(), megaki.Token{1}); r != nil || err == nil || err.Error() != "can't be read" {
		t.Errorf("%v, %v", r, err)
	}
	if ok, err := remote.CompareAndSwap(t.Context(), megaki.Token{1}, nil, record(1, time.Now())); ok || err == nil || err.Error() != "can't be written" {
		t.Errorf("%v, %v", ok, err)
	}
}

// TestMoveTakesTooLong: while sessions move, an operation waits no longer than its
// context, and not for ever; the store can be looked at.
func TestMoveTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSwitch(megaki.NewMemoryStore(100))
		thaw := s.Freeze()
		if s.Store() == nil {
			t.Error("no store")
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Load(ctx, megaki.Token{1}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		began = time.Now()
		if _, err := s.CompareAndSwap(t.Context(), megaki.Token{1}, nil, record(1, began.Add(time.Hour))); !errors.Is(err, megaki.ErrStoreDown) || time.Since(began) != moveWait {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			thaw(nil)
			thaw(nil)
		}()
		put(t, s, 1, time.Now().Add(time.Hour))
	})
}

// slowStore takes a while for each swap, and for one fails.
type slowStore struct {
	*megaki.MemoryStore
	fails megaki.Token
}

func (s slowStore) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	time.Sleep(10 * time.Millisecond)
	if t == s.fails {
		return false, errors.New("no space")
	}
	return s.MemoryStore.CompareAndSwap(ctx, t, old, next)
}

// TestMoveToSlowStore: sessions that move from memory to a disk were written one after the
// other.
func TestMoveToSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions = 10 * atOnce
		old := megaki.NewMemoryStore(100 * sessions) // whose parts are filled unevenly
		for i := range sessions {
			if ok, err := old.CompareAndSwap(t.Context(), megaki.Token{2, byte(i), byte(i >> 8)}, nil, record(1, time.Now().Add(time.Hour))); !ok || err != nil {
				t.Fatal(err)
			}
		}
		move := func(store megaki.SessionStore) (int, error) {
			r, w := io.Pipe()
			defer r.Close()
			go func() {
				Send(gob.NewEncoder(w), old)
				w.Close()
			}()
			return Receive(gob.NewDecoder(r), store)
		}
		store := slowStore{MemoryStore: megaki.NewMemoryStore(100 * sessions)}
		began := time.Now()
		if n, err := move(store); n != sessions || err != nil || store.Len() != old.Len() {
			t.Errorf("%d sessions, %v", n, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		for token := range old.All() {
			store.fails = token
			break
		}
		if _, err := move(store); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("a session can't be written: %v", err)
		}
	})
}
