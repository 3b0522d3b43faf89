package auth

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"mkd/proxy/request"
)

var (
	greedy = netip.MustParsePrefix("192.0.2.1/32")
	modest = netip.MustParsePrefix("192.0.2.2/32")
)

// takeAll takes all slots until release is called.
func takeAll(t *testing.T, s *slots) (release func()) {
	t.Helper()
	n := s.free
	for range n {
		if err := s.take(t.Context(), greedy); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for range n {
			s.give()
		}
	}
}

func waitFor(t *testing.T, s *slots, waiting int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := s.waiting.Len()
		s.mu.Unlock()
		if n == waiting {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", n, waiting)
		}
	}
}

// TestHashingIsBounded: no more passwords are hashed at once than there are slots, and
// no more wait than may.
func TestHashingIsBounded(t *testing.T) {
	const most = 2
	s := newSlots(most)
	release := takeAll(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range maxWaiting {
		wg.Go(func() {
			if err := s.take(ctx, greedy); err != context.Canceled {
				t.Errorf("who has left gets %v", err)
			}
		})
	}
	waitFor(t, s, maxWaiting)
	if err := s.take(ctx, greedy); request.Status(err) != 503 {
		t.Errorf("one more gets %v", err)
	}
	cancel()
	wg.Wait()
	release()
	if s.free != most || s.waiting.Len() != 0 {
		t.Errorf("%d slots are free, and %d wait", s.free, s.waiting.Len())
	}
}

// TestHashingIsShared: a client that fills the queue keeps nobody else out, and clients take
// turns.
func TestHashingIsShared(t *testing.T) {
	s := newSlots(1)
	release := takeAll(t, s)
	got := make(chan netip.Prefix, 2*maxWaiting)
	refused := make(chan netip.Prefix, 2*maxWaiting)
	var wg sync.WaitGroup
	ask := func(client netip.Prefix) {
		wg.Go(func() {
			_, err := s.hash(t.Context(), client, func() (bool, error) { got <- client; return true, nil })
			if err != nil {
				refused <- client
			}
		})
	}
	for range maxWaiting {
		ask(greedy)
	}
	waitFor(t, s, maxWaiting)
	ask(modest)
	if client := <-refused; client != greedy {
		t.Errorf("%v had to leave", client)
	}
	waitFor(t, s, maxWaiting)
	release()
	wg.Wait()
	if first, second := <-got, <-got; first != modest && second != modest {
		t.Errorf("the turns were of %v and %v", first, second)
	}
}

// TestSlotAtTheLastMoment: who leaves at the moment at which it gets a slot gives it back.
func TestSlotAtTheLastMoment(t *testing.T) {
	s := newSlots(1)
	for range 300 {
		release := takeAll(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if s.take(ctx, modest) == nil {
				s.give()
			}
		})
		waitFor(t, s, 1)
		wg.Go(release)
		cancel()
		wg.Wait()
		if s.free != 1 || s.waiting.Len() != 0 {
			t.Fatalf("%d slots are free, and %d wait", s.free, s.waiting.Len())
		}
	}
}
