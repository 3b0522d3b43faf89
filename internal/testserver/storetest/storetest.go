// Package storetest has the tests that every megaki.SessionStore must pass.
package storetest

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mkd/megaki"
)

// NewToken returns a random token.
func NewToken() (t megaki.Token) {
	rand.Read(t[:])
	return t
}

// NewRecord returns a record whose key begins with n.
func NewRecord(n int) *megaki.Record {
	r := &megaki.Record{Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), Client: netip.MustParsePrefix("192.0.2.1/32")}
	rand.Read(r.Current.Key[:])
	binary.BigEndian.PutUint64(r.Current.Key[:], uint64(n))
	rand.Read(r.ServerKey[:])
	return r
}

// Load loads a record, nil if there is none.
func Load(t testing.TB, s megaki.SessionStore, token megaki.Token) *megaki.Record {
	t.Helper()
	r, err := s.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Swap swaps a record, and reports whether it did.
func Swap(t testing.TB, s megaki.SessionStore, token megaki.Token, old, next *megaki.Record) bool {
	t.Helper()
	ok, err := s.CompareAndSwap(t.Context(), token, old, next)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// Run tests a store. Two of the same records, if given, see each other's swaps.
func Run(t *testing.T, a, b megaki.SessionStore) {
	t.Run("records", func(t *testing.T) { records(t, a, b) })
	t.Run("swaps", func(t *testing.T) { swaps(t, a, b) })
	t.Run("copies", func(t *testing.T) { copies(t, a) })
	t.Run("expiry", func(t *testing.T) { expiry(t, a) })
	t.Run("concurrency", func(t *testing.T) { concurrency(t, a, b) })
}

func records(t *testing.T, a, b megaki.SessionStore) {
	full := NewRecord(1)
	full.Client = netip.MustParsePrefix("2001:db8:1::/64")
	for range megaki.MaxPending {
		full.Pending = append(full.Pending, NewRecord(2).Current)
	}
	for i := range megaki.MaxResumes {
		full.Resumes = append(full.Resumes, [8]byte{byte(i), 1})
	}
	bare := NewRecord(3)
	bare.Client = netip.Prefix{}
	for _, want := range []*megaki.Record{full, bare, NewRecord(4)} {
		token := NewToken()
		if Load(t, a, token) != nil {
			t.Fatal("a record that was never stored")
		}
		if !Swap(t, a, token, nil, want) {
			t.Fatal("not stored")
		}
		got := Load(t, b, token)
		if got == nil {
			t.Fatal("not found")
		}
		if got.Current.Key != want.Current.Key || got.ServerKey != want.ServerKey || got.Client != want.Client || !got.Expires.Equal(want.Expires) ||
			len(got.Pending) != len(want.Pending) || len(got.Resumes) != len(want.Resumes) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		for i := range got.Pending {
			if got.Pending[i].Key != want.Pending[i].Key {
				t.Errorf("pending key %d is another", i)
			}
		}
		for i := range got.Resumes {
			if !bytes.Equal(got.Resumes[i][:], want.Resumes[i][:]) {
				t.Errorf("MAC %d is another", i)
			}
		}
	}
}

func swaps(t *testing.T, a, b megaki.SessionStore) {
	token := NewToken()
	if Swap(t, a, token, NewRecord(1), NewRecord(2)) {
		t.Error("a record that isn't there is swapped")
	}
	if !Swap(t, a, token, nil, NewRecord(1)) {
		t.Fatal("a new record isn't stored")
	}
	if Swap(t, b, token, nil, NewRecord(2)) {
		t.Error("a record is overwritten")
	}
	one, two := Load(t, a, token), Load(t, b, token)
	if !Swap(t, a, token, one, NewRecord(3)) {
		t.Error("not swapped")
	}
	if Swap(t, b, token, two, NewRecord(4)) || Swap(t, a, token, one, NewRecord(4)) {
		t.Error("swapped twice")
	}
	if r := Load(t, b, token); binary.BigEndian.Uint64(r.Current.Key[:]) != 3 {
		t.Error("another record")
	}
}

// copies: changing what was stored or loaded doesn't change the store's record.
func copies(t *testing.T, s megaki.SessionStore) {
	token := NewToken()
	mine := NewRecord(1)
	mine.Pending = append(make([]megaki.SessionKey, 0, 8), NewRecord(2).Current)
	mine.Resumes = append(make([][8]byte, 0, 8), [8]byte{})
	Swap(t, s, token, nil, mine)
	one, two := Load(t, s, token), Load(t, s, token)
	for _, r := range []*megaki.Record{mine, one, two} {
		r.Current.Key[0] = 0xFF
		r.Pending[0].Key[0] = 0xFF
		r.Resumes[0][0] = 0xFF
		r.Pending = append(r.Pending, megaki.SessionKey{})
		r.Resumes = append(r.Resumes, [8]byte{1})
	}
	r := Load(t, s, token)
	if len(r.Pending) != 1 || len(r.Resumes) != 1 || r.Current.Key[0] != 0 || r.Pending[0].Key[0] != 0 || r.Resumes[0][0] != 0 {
		t.Errorf("the store's record was changed: %+v", r)
	}
}

func expiry(t *testing.T, s megaki.SessionStore) {
	token := NewToken()
	r := NewRecord(1)
	for stored := false; !stored; stored = Swap(t, s, token, nil, r) { // again if the machine is slow
		r.Expires = time.Now().Add(300 * time.Millisecond)
	}
	old := Load(t, s, token)
	for Load(t, s, token) != nil {
		if time.Now().After(r.Expires.Add(20 * time.Second)) {
			t.Fatal("an expired record is there")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if time.Now().Before(r.Expires.Add(-2 * time.Millisecond)) {
		t.Error("expired too early")
	}
	if old != nil && Swap(t, s, token, old, NewRecord(2)) {
		t.Error("an expired record is swapped")
	}
	// A server elsewhere may forget the record some milliseconds later.
	for deadline := time.Now().Add(20 * time.Second); !Swap(t, s, token, nil, NewRecord(3)); {
		if time.Now().After(deadline) {
			t.Fatal("an expired record is in the way of a new one")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// concurrency: one of several that swap at once wins, each time.
func concurrency(t *testing.T, a, b megaki.SessionStore) {
	const workers, rounds = 8, 30
	token := NewToken()
	Swap(t, a, token, nil, NewRecord(0))
	others := []megaki.Token{NewToken(), NewToken(), NewToken(), NewToken(), NewToken()}
	var won atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		s := a
		if w%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for i := range rounds {
				r := Load(t, s, token)
				n := binary.BigEndian.Uint64(r.Current.Key[:])
				if Swap(t, s, token, r, NewRecord(int(n)+1)) {
					won.Add(1)
				}
				other := others[(w*rounds+i)%len(others)]
				Swap(t, s, other, Load(t, s, other), NewRecord(i))
			}
		})
	}
	wg.Wait()
	r := Load(t, b, token)
	if n := binary.BigEndian.Uint64(r.Current.Key[:]); int64(n) != won.Load() || n == 0 {
		t.Errorf("%d swaps were won, the record has %d", won.Load(), n)
	}
}
