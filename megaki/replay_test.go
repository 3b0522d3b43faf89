package megaki

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func macOf(n uint64) []byte {
	m := make([]byte, macSize)
	binary.BigEndian.PutUint64(m, n*0x9E3779B97F4A7C15)
	return m
}

// addsOnce fails the test unless a MAC is new, and not new again.
func addsOnce(t *testing.T, s *seenMACs, mac []byte, ciphertext int) {
	t.Helper()
	if err := s.add(mac, ciphertext); err != nil {
		t.Errorf("a new MAC: %v", err)
	}
	replays(t, s, mac, ciphertext)
}

func replays(t *testing.T, s *seenMACs, mac []byte, ciphertext int) {
	t.Helper()
	if err := s.add(mac, ciphertext); !errors.Is(err, errReplayed) {
		t.Errorf("a MAC that was seen: %v", err)
	}
}

func TestSeenMACs(t *testing.T) {
	s := newSeenMACs(nil)
	const n = 400
	for i := range uint64(n) {
		size := symmetricKey
		if i%2 == 1 {
			size = 16
		}
		addsOnce(t, s, macOf(i), size)
	}
	for i := range uint64(n) {
		replays(t, s, macOf(i), 16)
		replays(t, s, macOf(i), symmetricKey)
	}
	if len(s.table) > 3*n {
		t.Errorf("a table of %d for %d MACs", len(s.table), n)
	}
	s.retire()
	s.retire()
	if s.table != nil || len(s.retired.list) != n/2 {
		t.Errorf("%d MACs are kept, %d could pass for a RSTOR", len(s.retired.list), n/2)
	}
	for i := uint64(0); i < n; i += 2 {
		replays(t, s, macOf(i), symmetricKey)
	}
	addsOnce(t, s, macOf(n), symmetricKey)
}

// The prefix that marks a free slot is a MAC's like any other.
func TestSeenMACsOfZeros(t *testing.T) {
	zero := make([]byte, macSize)
	for _, size := range []int{16, symmetricKey} {
		addsOnce(t, newSeenMACs(nil), zero, size)
	}
	s := newSeenMACs(nil)
	addsOnce(t, s, zero, symmetricKey)
	s.retire()
	replays(t, s, zero, symmetricKey)
}

// TestUsedUpKeyLeavesLittleBehind: a used-up key left 128 KiB of replay memory
// in the store. It leaves 1 KiB, in which no MAC is forgotten.
func TestUsedUpKeyLeavesLittleBehind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, maxRetiredList, maxRetiredList + 1, 1000, 2 * DefaultMaxMessagesPerKey} {
		s := newSeenMACs(nil)
		macs := make([][]byte, n)
		for i := range macs {
			macs[i] = binary.BigEndian.AppendUint64(nil, random.Uint64())
			if err := s.add(macs[i], symmetricKey); err != nil {
				t.Fatal(err)
			}
		}
		s.retire()
		if l := s.retired.list; cap(l) > maxRetiredList || l != nil && s.retired.filter != nil || s.table != nil {
			t.Errorf("%d MACs leave a list of %d, filter %t", n, cap(l), s.retired.filter != nil)
		}
		for _, m := range macs {
			if !errors.Is(s.add(m, symmetricKey), errReplayed) {
				t.Fatalf("of %d MACs one is forgotten", n)
			}
		}
		// What a new RSTOR risks.
		refused := 0
		for range 10_000 {
			if s.retired.contains(macPrefix(random.Uint64())) {
				refused++
			}
		}
		if most := map[int]int{0: 0, maxRetiredList: 1, maxRetiredList + 1: 20, 1000: 300}[n]; n <= 1000 && refused > most {
			t.Errorf("with %d MACs %d of 10,000 new ones are taken for old", n, refused)
		}
	}
}

// A list that grows after its connection has ended becomes a filter, too.
func TestRetiredMACsStayBounded(t *testing.T) {
	s := newSeenMACs(nil)
	s.retire()
	for i := range uint64(2 * maxRetiredList) {
		s.add(macOf(i), symmetricKey)
	}
	if len(s.retired.list) > maxRetiredList {
		t.Errorf("a list of %d", len(s.retired.list))
	}
	for i := range uint64(2 * maxRetiredList) {
		replays(t, s, macOf(i), symmetricKey)
	}
}

// TestReplayMemoryIsBounded: the tables of live connections are counted, one
// client leaves room for others, and all comes back.
func TestReplayMemoryIsBounded(t *testing.T) {
	const limit = 8 << 20
	m := NewMemory(replayShare * limit)
	greedy := m.join(netip.MustParseAddr("192.0.2.1"))
	var all []*seenMACs
	counted := int64(0)
	for refused := false; !refused; {
		s := newSeenMACs(greedy.replay)
		for i := range uint64(2 * DefaultMaxMessagesPerKey) {
			if err := s.add(macOf(i), 16); errors.Is(err, errReplayMemory) {
				refused = true
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, s)
		if len(s.table) > freeSlots {
			counted += 8 * int64(len(s.table))
		}
	}
	if m.replay.InUse() != counted || counted < limit/2 || counted > limit*7/8 {
		t.Errorf("%d bytes are counted, the tables of one client have %d, all may have %d", m.replay.InUse(), counted, limit)
	}
	quiet := m.join(netip.MustParseAddr("192.0.2.2"))
	s := newSeenMACs(quiet.replay)
	for i := range uint64(2000) {
		if err := s.add(macOf(i), 16); err != nil {
			t.Fatalf("another client's MAC %d: %v", i, err)
		}
	}
	for _, s := range append(all, s) {
		s.retire()
	}
	greedy.leave()
	quiet.leave()
	if m.replay.InUse() != 0 || m.replay.Clients() != 0 {
		t.Errorf("%d bytes of %d clients in use", m.replay.InUse(), m.replay.Clients())
	}
}

// TestConnectionEndsBetweenMessagesWithoutReplayMemory: a connection whose
// MACs find no room closes after a response, and its client resumes with a new
// key.
func TestConnectionEndsBetweenMessagesWithoutReplayMemory(t *testing.T) {
	s := &Server{Memory: NewMemory(1 << 20)}
	addr := start(t, s)
	hog := s.Memory.join(netip.Addr{})
	for n := int64(1 << 18); n > 0; n /= 2 {
		for hog.replay.Take(n, 0) {
		}
	}
	p := established(t, addr)
	for range 3 {
		for range freeSlots * 3 / 4 / 2 {
			p.echoes("message")
		}
		p.refused()
		if p = p.resume(addr); p == nil {
			t.Fatal("not resumed")
		}
	}
}
