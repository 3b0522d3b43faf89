package megaki

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
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

func TestStoreCompareAndSwap(t *testing.T) {
	s := NewMemoryStore(1)
	token := tokenOf(1)
	if swap(t, s, token, recordOf(1), recordOf(2)) {
		t.Error("a record that isn't there is swapped")
	}
	if !swap(t, s, token, nil, recordOf(1)) {
		t.Error("a new record isn't stored")
	}
	if swap(t, s, token, nil, recordOf(2)) {
		t.Error("a record is overwritten")
	}
	a, b := load(t, s, token), load(t, s, token)
	if !swap(t, s, token, a, recordOf(3)) {
		t.Error("not swapped")
	}
	if swap(t, s, token, b, recordOf(4)) || swap(t, s, token, a, recordOf(4)) {
		t.Error("swapped twice")
	}
	if r := load(t, s, token); r.Current.Key != recordOf(3).Current.Key {
		t.Error("another record")
	}
	// A record that was forgotten and made anew is another.
	for range 3 {
		old := load(t, s, token)
		swap(t, s, tokenOf(2), nil, recordOf(2)) // the store has room for one
		swap(t, s, token, nil, recordOf(5))
		if swap(t, s, token, old, recordOf(6)) {
			t.Error("an earlier record is taken for the current one")
		}
	}
}

func TestStoreRecordsDoNotAlias(t *testing.T) {
	s := NewMemoryStore(10)
	token := tokenOf(1)
	mine := recordOf(1)
	mine.Pending = append(make([]SessionKey, 0, 8), SessionKey{})
	mine.Resumes = append(make([][8]byte, 0, 8), [8]byte{})
	swap(t, s, token, nil, mine)
	a, b := load(t, s, token), load(t, s, token)
	for _, r := range []*Record{mine, a, b} {
		r.Current.Key[0] = 0xFF
		r.Pending[0].Key[0] = 0xFF
		r.Resumes[0][0] = 0xFF
		r.Pending = append(r.Pending, SessionKey{})
		r.Resumes = append(r.Resumes, [8]byte{1})
	}
	r := load(t, s, token)
	if len(r.Pending) != 1 || len(r.Resumes) != 1 || r.Current.Key[0] != 0 || r.Pending[0].Key[0] != 0 || r.Resumes[0][0] != 0 {
		t.Errorf("the store's record was changed: %+v", r)
	}
}

// One of several that swap at once wins, each time.
func TestStoreConcurrency(t *testing.T) {
	const workers, rounds = 8, 300
	s := NewMemoryStore(200)
	token := tokenOf(0)
	swap(t, s, token, nil, recordOf(0))
	var won atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				r := load(t, s, token)
				n := binary.BigEndian.Uint64(r.Current.Key[:])
				if swap(t, s, token, r, recordOf(int(n)+1)) {
					won.Add(1)
				}
				other := tokenOf(1 + (w*rounds+i)%50)
				swap(t, s, other, load(t, s, other), recordOf(i))
			}
		})
	}
	wg.Wait()
	r := load(t, s, token)
	if n := binary.BigEndian.Uint64(r.Current.Key[:]); int64(n) != won.Load() || n == 0 {
		t.Errorf("%d swaps were won, the record says %d", won.Load(), n)
	}
}
