package megaki

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"
)

// tokenOf is a token of a number, spread over the store's parts.
func tokenOf(n int) (t Token) {
	binary.LittleEndian.PutUint64(t[:], uint64(n))
	return t
}

func recordOf(n int) *Record {
	r := &Record{Expires: time.Now().Add(time.Hour)}
	binary.BigEndian.PutUint64(r.Current.Key[:], uint64(n))
	return r
}

func load(t testing.TB, s SessionStore, token Token) *Record {
	t.Helper()
	r, err := s.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func swap(t testing.TB, s SessionStore, token Token, old, next *Record) bool {
	t.Helper()
	ok, err := s.CompareAndSwap(t.Context(), token, old, next)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestStoreExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemoryStore(10)
		token := tokenOf(1)
		swap(t, s, token, nil, recordOf(1))
		time.Sleep(time.Hour - time.Nanosecond)
		r := load(t, s, token) // using it doesn't move the expiry
		if r == nil {
			t.Fatal("expired too early")
		}
		if !swap(t, s, token, r, r) {
			t.Fatal("not swapped")
		}
		r = load(t, s, token)
		time.Sleep(time.Nanosecond)
		if swap(t, s, token, r, r) {
			t.Error("an expired record is swapped")
		}
		if load(t, s, token) != nil || s.Len() != 0 {
			t.Error("an expired record is there")
		}
	})
}

// The expiry is the handshake's: resuming doesn't move it.
func TestResumingDoesNotMoveTheExpiry(t *testing.T) {
	store := NewMemoryStore(10)
	addr := start(t, &Server{Sessions: store})
	p := established(t, addr)
	expires := load(t, store, p.token).Expires
	for range 3 {
		p = p.resume(addr)
		p.echoes("x")
		if got := load(t, store, p.token).Expires; !got.Equal(expires) {
			t.Errorf("%v, at first %v", got, expires)
		}
	}
}

func TestStoreCapacity(t *testing.T) {
	s := NewMemoryStore(3)
	for i := range 3 {
		swap(t, s, tokenOf(i), nil, recordOf(i))
	}
	load(t, s, tokenOf(0))                   // used: 1 is the oldest now
	r := load(t, s, tokenOf(1))              // now 2 is
	swap(t, s, tokenOf(1), r, r)             // and stays it
	swap(t, s, tokenOf(3), nil, recordOf(3)) // forgets 2
	for i, want := range []bool{true, true, false, true} {
		if got := load(t, s, tokenOf(i)) != nil; got != want {
			t.Errorf("session %d kept: %v, want %v", i, got, want)
		}
	}
	for _, capacity := range []int{0, 1, 2, 63, 127, 128, 1000, 4097} {
		s := NewMemoryStore(capacity)
		for i := range capacity + 1000 {
			if !swap(t, s, tokenOf(i), nil, recordOf(i)) {
				t.Fatalf("capacity %d: session %d isn't stored", capacity, i)
			}
			if n := s.Len(); n > capacity {
				t.Fatalf("%d sessions in a store of %d", n, capacity)
			}
		}
	}
}

// TestForgottenRecordIsAnother: a record that was evicted and made anew isn't the
// earlier one.
func TestForgottenRecordIsAnother(t *testing.T) {
	s := NewMemoryStore(1)
	token := tokenOf(1)
	swap(t, s, token, nil, recordOf(1))
	for range 3 {
		old := load(t, s, token)
		swap(t, s, tokenOf(2), nil, recordOf(2)) // the store has room for one
		swap(t, s, token, nil, recordOf(5))
		if swap(t, s, token, old, recordOf(6)) {
			t.Error("an earlier record is taken for the current one")
		}
	}
}
