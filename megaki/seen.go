package megaki

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"
)

// macPrefix is the part of a MAC that is remembered: its first 63 bits. The
// last bit is set where the packet is as large as a RSTOR.
type macPrefix uint64

const asLargeAsRSTOR macPrefix = 1

func prefixOf(mac []byte) macPrefix {
	p := macPrefix(binary.BigEndian.Uint64(mac)) &^ asLargeAsRSTOR
	return max(p, 2) // 0 marks a free place
}

// seenMACs is the set of the MACs that were received and sent under one master
// key. It belongs to the key, not to a connection: MSGs meet it on the
// connection that uses the key, RSTORs on later ones. Without it a packet
// could be sent again, back to its sender, or, type and length changed, as a
// RSTOR.
//
// It is an open-addressed table of 8 bytes an entry; the caller bounds the
// number of entries by max_messages_per_key.
type seenMACs struct {
	mu      sync.Mutex
	seed    uint64 // the peer can choose MACs, but not where they fall
	table   []macPrefix
	used    int
	short   []uint32 // once retired: see retire
	retired bool
}

func newSeenMACs() *seenMACs {
	var seed [8]byte
	rand.Read(seed[:])
	return &seenMACs{seed: binary.NativeEndian.Uint64(seed[:])}
}

// add puts the MAC of a packet into the set, and reports whether it was new.
// ciphertext is the size of the packet's ciphertext: one as large as a
// RSTOR's could come again as a RSTOR after the connection has ended.
func (s *seenMACs) add(mac []byte, ciphertext int) bool {
	p := prefixOf(mac)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		if slices.Contains(s.short, uint32(p>>32)) {
			return false
		}
		s.short = append(s.short, uint32(p>>32))
		return true
	}
	if 4*(s.used+1) > 3*len(s.table) {
		s.grow()
	}
	i := s.slot(p)
	if s.table[i] != 0 {
		return false
	}
	if ciphertext == symmetricKey {
		p |= asLargeAsRSTOR
	}
	s.table[i] = p
	s.used++
	return true
}

// retire is called when the connection that used the key has ended. What can
// still come under the key is a RSTOR, so only the MACs that could pass for
// one are kept, as 4 bytes each: that two are alike by chance (one in 2^17
// at 32,768 of them) costs the client a handshake.
func (s *seenMACs) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return
	}
	s.retired = true
	for _, p := range s.table {
		if p&asLargeAsRSTOR != 0 {
			s.short = append(s.short, uint32(p>>32))
		}
	}
	s.short = slices.Clip(s.short)
	s.table = nil
}

// slot is where p stands, or would.
func (s *seenMACs) slot(p macPrefix) int {
	mask := uint64(len(s.table) - 1)
	p &^= asLargeAsRSTOR
	i := ((uint64(p) ^ s.seed) * 0x9E3779B97F4A7C15) >> 20 & mask
	for s.table[i] != 0 && s.table[i]&^asLargeAsRSTOR != p {
		i = (i + 1) & mask
	}
	return int(i)
}

func (s *seenMACs) grow() {
	old := s.table
	s.table = make([]macPrefix, max(16, 2*len(old)))
	for _, p := range old {
		if p != 0 {
			s.table[s.slot(p)] = p
		}
	}
}
