package sessions

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mkd/internal/testserver/storetest"
	"mkd/megaki"
)

// fakeStore fails or hangs when a test wants it.
type fakeStore struct {
	megaki.SessionStore
	fails, hangs atomic.Bool
	full         atomic.Bool // it can be read alone
	asked        atomic.Int64
}

var errFake = errors.New("connection refused")

func (s *fakeStore) Load(ctx context.Context, t megaki.Token) (*megaki.Record, error) {
	s.asked.Add(1)
	if s.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.fails.Load() {
		return nil, errFake
	}
	return s.SessionStore.Load(ctx, t)
}

func (s *fakeStore) CompareAndSwap(ctx context.Context, t megaki.Token, old, next *megaki.Record) (bool, error) {
	if s.full.Load() {
		return false, errFake
	}
	return s.SessionStore.CompareAndSwap(ctx, t, old, next)
}

func newFake() *fakeStore { return &fakeStore{SessionStore: megaki.NewMemoryStore(100)} }

func TestGuardPasses(t *testing.T) {
	g := NewGuard(newFake(), GuardOptions{Timeout: 20 * time.Second})
	defer g.Close()
	storetest.Run(t, g, g)
	if s := g.Stats(); s.Down || s.Loads == 0 || s.Swaps == 0 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

// After some failures in a row the store isn't asked any more, until it responds to
// an attempt of the Guard's own.
func TestGuardOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		g := NewGuard(store, GuardOptions{})
		defer g.Close()
		store.fails.Store(true)
		for i := range DefaultFailures {
			if _, err := g.Load(t.Context(), megaki.Token{}); !errors.Is(err, errFake) || errors.Is(err, megaki.ErrStoreDown) {
				t.Fatalf("failure %d: %v", i, err)
			}
		}
		asked := store.asked.Load()
		if _, err := g.Load(t.Context(), megaki.Token{}); !errors.Is(err, megaki.ErrStoreDown) {
			t.Errorf("%v", err)
		}
		if _, err := g.CompareAndSwap(t.Context(), megaki.Token{}, nil, storetest.NewRecord(1)); !errors.Is(err, megaki.ErrStoreDown) {
			t.Errorf("%v", err)
		}
		if store.asked.Load() != asked {
			t.Error("the store was asked")
		}
		if s := g.Stats(); !s.Down || s.Failures != DefaultFailures || s.Refused != 2 || s.LastError != errFake.Error() {
			t.Errorf("%+v", s)
		}
		time.Sleep(10*DefaultRetry + DefaultRetry/2)
		if n := store.asked.Load() - asked; n != 10 {
			t.Errorf("%d attempts in ten times the interval", n)
		}
		store.fails.Store(false)
		time.Sleep(DefaultRetry)
		if _, err := g.Load(t.Context(), megaki.Token{}); err != nil {
			t.Errorf("after the store responds again: %v", err)
		}
		if g.Stats().Down {
			t.Error("still down")
		}
	})
}

// A store that hangs costs the timeout; a client that leaves is no failure.
func TestGuardTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		g := NewGuard(store, GuardOptions{})
		defer g.Close()
		store.hangs.Store(true)
		start := time.Now()
		if _, err := g.Load(t.Context(), megaki.Token{}); !errors.Is(err, errTimeout) {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d != DefaultTimeout {
			t.Errorf("it took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Load(ctx, megaki.Token{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if s := g.Stats(); s.Failures != 1 {
			t.Errorf("%+v", s)
		}
		store.hangs.Store(false)
		g.Load(t.Context(), megaki.Token{})
		for range DefaultFailures - 1 { // a success in between starts the count anew
			store.hangs.Store(true)
			g.Load(t.Context(), megaki.Token{})
		}
		if g.Stats().Down {
			t.Error("down before the failures are enough")
		}
	})
}

// stuckStore observes no context.
type stuckStore struct {
	fakeStore
	release chan struct{}
}

func (s *stuckStore) Load(context.Context, megaki.Token) (*megaki.Record, error) {
	<-s.release
	return nil, nil
}

// A store that observes no context has a bounded number of goroutines.
func TestGuardBoundsOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stuckStore{release: make(chan struct{})}
		g := NewGuard(store, GuardOptions{InFlight: 3, Failures: 100})
		for range 3 {
			if _, err := g.Load(t.Context(), megaki.Token{}); !errors.Is(err, errTimeout) {
				t.Errorf("%v", err)
			}
		}
		if _, err := g.Load(t.Context(), megaki.Token{}); !errors.Is(err, errBusy) {
			t.Errorf("the fourth: %v", err)
		}
		close(store.release)
		synctest.Wait()
		if _, err := g.Load(t.Context(), megaki.Token{}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		g.Close()
	})
}

// slowStore responds, and takes its time.
type slowStore struct{ fakeStore }

func (s *slowStore) Load(context.Context, megaki.Token) (*megaki.Record, error) {
	time.Sleep(DefaultTimeout / 2)
	return nil, nil
}

// TestGuardBusyIsNotDown: more operations at once than there may be are refused, but don't
// open the circuit. A client that asked for sessions that there aren't, often enough, once
// kept all others from theirs.
func TestGuardBusyIsNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(&slowStore{}, GuardOptions{InFlight: 2})
		defer g.Close()
		var loads sync.WaitGroup
		for range 2 {
			loads.Go(func() {
				if _, err := g.Load(t.Context(), megaki.Token{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for range 2 * DefaultFailures {
			if _, err := g.Load(t.Context(), megaki.Token{}); !errors.Is(err, errBusy) {
				t.Errorf("%v", err)
			}
		}
		loads.Wait()
		if s := g.Stats(); s.Down || s.Failures != 2*DefaultFailures || s.Loads != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestGuardFullStore: a store that completes each Load, but no CompareAndSwap, as on a disk
// that is full, is down until it is written to again. Each Load once began the count anew,
// and an attempt that only read once closed the circuit.
func TestGuardFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		g := NewGuard(store, GuardOptions{})
		defer g.Close()
		token := storetest.NewToken()
		storetest.Swap(t, g, token, nil, storetest.NewRecord(1))
		store.full.Store(true)
		for range DefaultFailures {
			if _, err := g.CompareAndSwap(t.Context(), token, storetest.Load(t, g, token), storetest.NewRecord(2)); !errors.Is(err, errFake) {
				t.Fatalf("%v", err)
			}
		}
		time.Sleep(10 * DefaultRetry)
		if !g.Stats().Down {
			t.Fatal("not down")
		}
		store.full.Store(false)
		time.Sleep(2 * DefaultRetry)
		if g.Stats().Down {
			t.Error("down for good")
		}
		storetest.Swap(t, g, token, storetest.Load(t, g, token), storetest.NewRecord(3))
	})
}

// TestGuardTrialKey: whoever knows the key of a session resumes it, and the token of an
// attempt is known.
func TestGuardTrialKey(t *testing.T) {
	store := newFake()
	g := NewGuard(store, GuardOptions{})
	defer g.Close()
	var keys [2]megaki.SessionKey
	for i := range keys {
		if swapped, err := g.trial(t.Context()); !swapped || err != nil {
			t.Fatalf("%v, %v", swapped, err)
		}
		r := storetest.Load(t, store, megaki.Token{})
		if keys[i] = r.Current; time.Until(r.Expires) > trialLife {
			t.Errorf("it expires in %v", time.Until(r.Expires))
		}
	}
	if zero := (megaki.SessionKey{}); keys[0] == zero || keys[0] == keys[1] {
		t.Errorf("keys %x and %x", keys[0].Key, keys[1].Key)
	}
}
