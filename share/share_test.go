package share

import (
	"net/netip"
	"sync"
	"testing"
)

func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1/32",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::/64",
		"2001:db8:1:2::":        "2001:db8:1:2::/64",
		"fe80::1%eth0":          "fe80::/64",
		"::ffff:192.0.2.1%eth0": "192.0.2.1/32",
	} {
		if got := Network(netip.MustParseAddr(address)); got.String() != want {
			t.Errorf("%s is of %s, want %s", address, got, want)
		}
	}
	if got := Network(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address is of %s", got)
	}
}

func TestContains(t *testing.T) {
	for _, c := range []struct {
		network, address string
		want             bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.1.2.3", false},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"::ffff:0:0/96", "10.1.2.3", true},
		{"::ffff:0:0/95", "10.1.2.3", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"2001:db8::1/128", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::2", false},
		{"2001:db8::/100", "2001:db8:1::", false},
		{"::/0", "10.1.2.3", false},
		{"0.0.0.0/0", "2001:db8::1", false},
	} {
		if Contains([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix(c.network)}, netip.MustParseAddr(c.address)) != c.want {
			t.Errorf("%s in %s: want %t", c.address, c.network, c.want)
		}
	}
	if Contains([]netip.Prefix{{}}, netip.Addr{}) || Contains(nil, netip.MustParseAddr("10.0.0.1")) {
		t.Error("nothing contains something")
	}
}

// takeAll takes single units until it is refused.
func takeAll(c *Client) (n int64) {
	for c.Take(1, 0) {
		n++
	}
	return n
}

// TestOneClientLeavesRoom: a single client gets 75 % of the whole and no more,
// and those that hold little get the rest to the last unit.
func TestOneClientLeavesRoom(t *testing.T) {
	p := NewPool(1000, 0)
	greedy := p.Join(netip.MustParseAddr("192.0.2.1"))
	if n := takeAll(greedy); n != 750 {
		t.Fatalf("one client takes %d of 1000, want 750", n)
	}
	for i := range 250 {
		if !p.Join(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})).Take(1, 0) {
			t.Fatalf("client %d of 250 is refused one unit", i)
		}
	}
	if greedy.Take(1, 0) || p.Join(netip.MustParseAddr("203.0.113.1")).Take(1, 0) || p.InUse() != 1000 {
		t.Errorf("%d units of 1000 are in use", p.InUse())
	}
}

// TestTakeNothing: a client that has more than its share by now, since others have come, gets
// nothing more, and a call that asks for nothing succeeds.
func TestTakeNothing(t *testing.T) {
	p := NewPool(1000, 0)
	greedy := p.Join(netip.MustParseAddr("192.0.2.1"))
	takeAll(greedy)
	p.Join(netip.MustParseAddr("192.0.2.2")).Take(200, 0)
	if greedy.Take(1, 0) || !greedy.Take(0, 0) {
		t.Error("one more was there, or nothing was not")
	}
}

// TestSharesNotEnforcedBelow75Percent: a carrier's NAT, which is one client
// here, gets all that it asks for while the whole suffices.
func TestSharesNotEnforcedBelow75Percent(t *testing.T) {
	p := NewPool(1000, 0)
	nat := p.Join(netip.MustParseAddr("192.0.2.1"))
	if !nat.Take(700, 0) {
		t.Fatal("700 of 1000 are refused")
	}
	others := p.Join(netip.MustParseAddr("198.51.100.1"))
	if !others.Take(50, 0) {
		t.Fatal("50 more are refused to another")
	}
	if nat.Take(100, 0) { // would hold 800 with 250 free
		t.Error("a client took more than its share of the last quarter")
	}
	others.Give(50)
	if !nat.Take(50, 0) {
		t.Error("a client is refused with 75 % in use")
	}
}

// TestGreediestIsRefusedFirst: as the rest shrinks, clients are refused in the
// order of what they hold.
func TestGreediestIsRefusedFirst(t *testing.T) {
	p := NewPool(1000, 0)
	var clients []*Client
	for i, n := range []int64{400, 200, 100, 50, 5} {
		c := p.Join(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		if !c.Take(n, 0) {
			t.Fatalf("client %d is refused %d", i, n)
		}
		clients = append(clients, c)
	}
	filler := p.Join(netip.Addr{})
	refused := 0
	for filler.Take(1, 0) {
		for i, c := range clients {
			ok := c.Take(1, 0)
			if ok {
				c.Give(1)
			}
			if ok == (i < refused) && i < refused {
				t.Fatalf("client %d gets something again with %d in use", i, p.InUse())
			}
			if !ok && i >= refused {
				if i != refused {
					t.Fatalf("client %d is refused before client %d", i, refused)
				}
				refused++
			}
		}
	}
	if refused != len(clients) || p.InUse() != 1000 {
		t.Errorf("%d clients were refused, %d units in use", refused, p.InUse())
	}
}

// TestManyGreedyClients: each further client that takes what it can leaves room
// for the next.
func TestManyGreedyClients(t *testing.T) {
	p := NewPool(100_000, 0)
	for i := range 20 {
		if n := takeAll(p.Join(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))); i < 6 && n < 5 {
			t.Errorf("greedy client %d gets %d units", i, n)
		}
	}
	alone := NewPool(4, 0).Join(netip.MustParseAddr("192.0.2.1"))
	if n := takeAll(alone); n != 3 {
		t.Errorf("one client takes %d of 4", n)
	}
	if one := NewPool(1, 0).Join(netip.MustParseAddr("192.0.2.1")); takeAll(one) != 1 {
		t.Error("a pool of one unit serves nobody")
	}
}

func TestHardBound(t *testing.T) {
	p := NewPool(1000, 7)
	if n := takeAll(p.Join(netip.MustParseAddr("2001:db8::1"))); n != 7 {
		t.Errorf("a client takes %d, its bound is 7", n)
	}
	if p.Join(netip.MustParseAddr("2001:db8::2")).Take(1, 0) {
		t.Error("another address of the same /64 is another client")
	}
	if n := takeAll(p.Join(netip.MustParseAddr("2001:db8:0:1::"))); n != 7 {
		t.Errorf("another client takes %d", n)
	}
	if n := takeAll(NewPool(1000, 1).Join(netip.MustParseAddr("2001:db8::1"))); n != 1 {
		t.Errorf("a client takes %d, its bound is 1", n)
	}
	if n := takeAll(p.Join(netip.Addr{})); n != 1000-14 {
		t.Errorf("an exempt client takes %d of what is free", n)
	}
}

func TestReserve(t *testing.T) {
	p := NewPool(800, 0)
	c := p.Join(netip.Addr{})
	if c.Take(701, 100) || !c.Take(700, 100) || c.Take(1, 100) || !c.Take(100, 0) {
		t.Errorf("%d in use", p.InUse())
	}
	c.Give(800)
	greedy := p.Join(netip.MustParseAddr("192.0.2.1"))
	n := int64(0)
	for greedy.Take(1, 100) {
		n++
	}
	if n != 525 { // 75 % of 700
		t.Errorf("a client takes %d of 700", n)
	}
}

// TestNothingIsLeft: counts return to nothing, and a client that has left is
// forgotten.
func TestNothingIsLeft(t *testing.T) {
	p := NewPool(100, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 2000 {
				c := p.Join(netip.AddrFrom4([4]byte{192, 0, 2, byte((i + j) % 5)}))
				if c.Take(10, 0) {
					if n := p.InUse(); n > 100 {
						t.Errorf("%d of 100 in use", n)
					}
					c.Give(10)
				}
				c.Leave()
			}
		})
	}
	wg.Wait()
	if p.InUse() != 0 || p.Clients() != 0 {
		t.Errorf("%d in use, %d clients", p.InUse(), p.Clients())
	}
}

func BenchmarkTake(b *testing.B) {
	p := NewPool(1<<30, 0)
	b.RunParallel(func(pb *testing.PB) {
		c := p.Join(netip.MustParseAddr("192.0.2.1"))
		defer c.Leave()
		for pb.Next() {
			c.Take(1024, 0)
			c.Give(1024)
		}
	})
}

// TestGivenBack: what a client has given back, or didn't get, doesn't count for its share.
func TestGivenBack(t *testing.T) {
	p := NewPool(100, 0)
	a, b := p.Join(netip.MustParseAddr("10.0.0.1")), p.Join(netip.MustParseAddr("10.0.0.2"))
	for range 3 {
		if n := takeAll(a); n != 75 {
			t.Errorf("%d units", n)
		}
		a.Give(75)
	}
	a.Take(60, 0)
	if b.Take(50, 0) || b.held.Load() != 0 {
		t.Errorf("50 of 40 free units: %d are held", b.held.Load())
	}
	a.Give(60)
	a.Leave()
	b.Leave()

	addr := netip.MustParseAddr("10.0.0.3")
	if _, ok := p.TakeFor(addr, 101); ok || p.Clients() != 0 || p.InUse() != 0 {
		t.Errorf("more than there is: %d clients, %d units", p.Clients(), p.InUse())
	}
	release, ok := p.TakeFor(addr, 10)
	if !ok || p.Clients() != 1 || p.InUse() != 10 {
		t.Errorf("%t: %d clients, %d units", ok, p.Clients(), p.InUse())
	}
	if release(); p.Clients() != 0 || p.InUse() != 0 {
		t.Errorf("after release: %d clients, %d units", p.Clients(), p.InUse())
	}
}

// TestSetLimits: what clients hold stays theirs, and counts.
func TestSetLimits(t *testing.T) {
	p := NewPool(100, 0)
	c := p.Join(netip.Addr{})
	if !c.Take(80, 0) {
		t.Fatal("80 of 100 are refused")
	}
	p.SetLimits(50, 0)
	if c.Take(1, 0) || p.InUse() != 80 || p.Limit() != 50 {
		t.Errorf("%d of %d are in use", p.InUse(), p.Limit())
	}
	c.Give(80)
	if !c.Take(50, 0) || c.Take(1, 0) {
		t.Errorf("%d of %d are in use", p.InUse(), p.Limit())
	}
	c.Give(50)
	p.SetLimits(1000, 10)
	one := p.Join(netip.MustParseAddr("192.0.2.1"))
	if n := takeAll(one); n != 10 {
		t.Errorf("one client takes %d, want 10", n)
	}
}

// TestTakeForAll: the last unit can be taken, and a client may hold exactly three times
// what is free before.
func TestTakeForAll(t *testing.T) {
	if _, ok := NewPool(8, 0).TakeFor(netip.Addr{}, 8); !ok {
		t.Error("not all can be taken")
	}
	if release, ok := NewPool(8, 0).TakeFor(netip.Addr{}, 9); ok || release != nil {
		t.Error("more than all can be taken")
	}
	c := NewPool(10, 0).Join(netip.MustParseAddr("192.0.2.1"))
	if !c.Take(7, 0) || !c.Take(2, 0) { // with 3 free it may hold 9
		t.Errorf("a client holds %d", c.held.Load())
	}
	if c.Take(1, 0) {
		t.Error("a client takes the last unit")
	}
}
