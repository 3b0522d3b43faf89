package megaki

import (
	"context"
	"crypto"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mkd/share"
)

// slotsOf is n slots for a queue of limit waiters.
func slotsOf(n, limit int) *slots {
	s := newSlots()
	s.free, s.queue = n, share.NewQueue[slotWaiter](limit)
	return s
}

// network returns what counts as one client; "" is the address of a trusted proxy.
func network(address string) netip.Prefix {
	if address == "" {
		return netip.Prefix{}
	}
	return share.Network(netip.MustParseAddr(address))
}

func TestClientNetwork(t *testing.T) {
	for _, test := range []struct{ a, b string }{
		{"192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"fe80::2%eth1", "fe80::/64"},
	} {
		if got := network(test.a).String(); got != test.b {
			t.Errorf("%s: %s, want %s", test.a, got, test.b)
		}
	}
	if got := share.Network(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address: %s", got)
	}
}

func TestSlotsBoundTheWorkAtOnce(t *testing.T) {
	s := slotsOf(3, maxSlotQueue)
	var now, most atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if err := s.acquire(t.Context(), network("192.0.2.1")); err != nil {
				t.Error(err)
				return
			}
			defer s.release()
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			now.Add(-1)
		})
	}
	wg.Wait()
	if n := most.Load(); n > 3 {
		t.Errorf("%d at once, 3 slots", n)
	}
	if s.free != 3 || s.queue.Len() != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

func TestSlotsWaitNoLongerThanTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(1, 10)
		if err := s.acquire(t.Context(), network("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		err := s.acquire(ctx, network("192.0.2.1"))
		if waited := time.Since(begin); waited != 10*time.Second || !errors.Is(err, errBusy) {
			t.Errorf("%v after %v", err, waited)
		}
		if s.queue.Len() != 0 {
			t.Error("it still waits")
		}
		s.release()
		if s.free != 1 {
			t.Errorf("%d free", s.free)
		}
	})
}

// queue starts acquire for each client, in order, and returns the order in
// which slots are granted and refused, as it grows.
func queue(t *testing.T, s *slots, clients ...string) (granted, refused func() []string) {
	var mu sync.Mutex
	var yes, no []string
	for _, c := range clients {
		go func() {
			err := s.acquire(t.Context(), network(c))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				yes = append(yes, c)
			} else {
				no = append(no, c)
			}
		}()
		synctest.Wait()
	}
	get := func(list *[]string) func() []string {
		return func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(*list)
		}
	}
	return get(&yes), get(&no)
}

const (
	clientA = "192.0.2.1"
	clientB = "192.0.2.2"
	clientC = "2001:db8::1"
	netOfC  = "2001:db8::ffff" // counts as clientC
)

// Clients are served in turn by their address, not by how often they ask.
func TestSlotsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(0, 100)
		granted, _ := queue(t, s, clientA, clientA, clientA, clientA, clientB, clientC, netOfC, clientB)
		want := []string{clientA, clientB, clientC, clientA, clientB, netOfC, clientA, clientA}
		for i := range want {
			s.release()
			if got := granted(); !slices.Equal(got, want[:i+1]) {
				t.Fatalf("granted %q, want %q", got, want[:i+1])
			}
		}
	})
}

// When the queue is full, the last of the longest gives way to an address with
// a shorter one, and to no other.
func TestSlotsPushOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(0, 4)
		_, refused := queue(t, s, clientA, clientA, clientA, clientA)
		_, refusedA := queue(t, s, clientA)
		if len(refusedA()) != 1 || len(refused()) != 0 {
			t.Error("the fifth of A isn't refused")
		}
		queue(t, s, clientB)
		if len(refused()) != 1 || s.queue.Len() != 4 {
			t.Errorf("%d of A refused, %d wait", len(refused()), s.queue.Len())
		}
		queue(t, s, clientB)
		if len(refused()) != 2 {
			t.Errorf("%d of A refused", len(refused()))
		}
		_, refusedB := queue(t, s, clientB) // 2 and 2: B's own would be the longest
		if len(refusedB()) != 1 || len(refused()) != 2 {
			t.Error("B pushes out A, which has no more waiting than B")
		}
		queue(t, s, clientC)
		if got := len(refused()); got != 3 || s.queue.Len() != 4 {
			t.Errorf("%d of A refused", got)
		}
		for range 4 {
			s.release()
		}
		// One more or less, and the two would only change places.
		tie := slotsOf(0, 3)
		_, refused = queue(t, tie, clientA, clientA, clientB)
		if _, late := queue(t, tie, clientB); len(late()) != 1 || len(refused()) != 0 {
			t.Error("B pushes out A, which has as many waiting as B would have")
		}
		for range 3 {
			tie.release()
		}
		synctest.Wait()
		if s.queue.Len() != 0 || s.free != 0 {
			t.Errorf("%d wait, %d free", s.queue.Len(), s.free)
		}
	})
}

// Clients behind trusted proxies, whose networks aren't known, each have a turn: they shared
// one, and a flood from one address took half of all slots from them.
func TestSlotsBehindProxies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(0, 6)
		proxied, refused := queue(t, s, "", "", "")
		flood, evicted := queue(t, s, clientA, clientA, clientA)
		s.release()
		s.release()
		s.release()
		if p, f := len(proxied()), len(flood()); p != 3 || f != 0 {
			t.Errorf("%d behind proxies and %d of a flood got a slot", p, f)
		}
		queue(t, s, "", "", "", "") // the last one takes the place of one of the flood
		if n := len(evicted()); n != 1 || len(refused()) != 0 {
			t.Errorf("%d of the flood are evicted, %d behind proxies", n, len(refused()))
		}
		for range 6 {
			s.release()
		}
	})
}

// A run of whatever clients may do, in random order.
func TestSlotsModel(t *testing.T) {
	const total = 3
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		limit := 1 + random.IntN(12)
		s := slotsOf(total, limit)
		held := 0
		var waiters []*slotWaiter
		for range 400 {
			client := share.Network(netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(5))}))
			switch random.IntN(4) {
			case 0, 1:
				w, err := s.tryAcquire(client)
				switch {
				case err != nil && s.queue.Len() < limit:
					t.Fatalf("refused with %d waiting", s.queue.Len())
				case err != nil:
				case w != nil:
					waiters = append(waiters, w)
				default:
					held++
				}
			case 2:
				if held > 0 {
					held--
					s.release()
				}
			case 3:
				if len(waiters) > 0 {
					i := random.IntN(len(waiters))
					if !s.queue.Leave(&waiters[i].turn) {
						t.Fatal("a waiter isn't in the queue")
					}
					waiters = slices.Delete(waiters, i, i+1)
				}
			}
			waiters = slices.DeleteFunc(waiters, func(w *slotWaiter) bool { // what was granted or evicted waits no more
				select {
				case ok := <-w.granted:
					if ok {
						held++
					}
					return true
				default:
					return false
				}
			})
			switch {
			case len(waiters) != s.queue.Len() || len(waiters) > limit:
				t.Fatalf("%d wait, %d in the queue for %d", len(waiters), s.queue.Len(), limit)
			case s.free > 0 && s.queue.Len() > 0:
				t.Fatalf("%d slots are free while %d wait", s.free, s.queue.Len())
			case held+s.free != total:
				t.Fatalf("%d held and %d free of %d slots", held, s.free, total)
			}
		}
	}
}

// A flood of SYNs from one address holds up neither a session nor, by more
// than one turn, the handshake of another address.
func TestFloodOfHandshakes(t *testing.T) {
	var mu sync.Mutex
	var order []string // of what was decrypted
	s := &Server{HandshakeTimeout: time.Hour, decrypt: func(key crypto.Decrypter, block []byte) ([]byte, error) {
		mu.Lock()
		order = append(order, string(block))
		mu.Unlock()
		return decryptOAEP(key, block)
	}}
	addr := start(t, s)
	established := established(t, addr)
	// The test holds every slot but does no work with it.
	slots := s.slots
	slots.mu.Lock()
	held := slots.free
	slots.free = 0
	slots.mu.Unlock()

	syn, _ := newSYN(t, nil)
	waiting := func() int {
		_, n, _ := slots.status()
		return n
	}
	const flood = 100
	var flooders []*peer
	for range flood {
		p := connect(t, addr)
		p.send(syn[:])
		flooders = append(flooders, p)
	}
	eventually(t, "the flood waits", func() bool { return waiting() == flood })
	established.echoes("a session needs no slot")

	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := other.DialContext(t.Context(), "tcp", addr)
	if err != nil && runtime.GOOS != "linux" {
		t.Skipf("this system has no second loopback address: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	syn, plain := newSYN(t, nil)
	p.send(syn[:])
	eventually(t, "the other address waits", func() bool { return waiting() == flood+1 })
	mu.Lock()
	order = nil
	mu.Unlock()
	for range held {
		slots.release()
	}
	p.send(p.respondToSYNACK(plain)[:])
	p.read(typeACKACK)
	p.echoes("x")
	mu.Lock()
	if at := slices.Index(order, string(syn.block0())); at < 0 || at > 2*held+2 { // two blocks a handshake
		t.Errorf("the other address is number %d", at/2)
	}
	mu.Unlock()
	for _, p := range flooders {
		p.read(typeSYNACK)
	}
}

// TestSlotForMessages keeps a slot free as long as sessions are busy.
func TestSlotForMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotsOf(3, 100)
		s.size = 3
		s.busy(time.Now())
		for range 2 {
			if err := s.acquire(t.Context(), network("192.0.2.1")); err != nil {
				t.Fatal(err)
			}
		}
		granted, _ := queue(t, s, "192.0.2.2", "192.0.2.3", "192.0.2.4")
		if got := granted(); len(got) != 0 || s.free != 1 {
			t.Fatalf("with 2 of 3 slots taken while sessions are busy: granted %v, %d free", got, s.free)
		}
		s.release()
		if got := granted(); len(got) != 1 || s.free != 1 {
			t.Fatalf("one was released: granted %v, %d free", got, s.free)
		}
		time.Sleep(2 * quietAfter)
		s.release()
		if got := granted(); len(got) != 3 || s.free != 0 {
			t.Fatalf("sessions are quiet: granted %v, %d free", got, s.free)
		}
		for range 3 {
			s.release()
		}
		one := slotsOf(1, 100)
		one.size = 1
		one.busy(time.Now())
		if err := one.acquire(t.Context(), network("192.0.2.1")); err != nil || one.free != 0 {
			t.Errorf("the only slot: %v", err)
		}
	})
}
