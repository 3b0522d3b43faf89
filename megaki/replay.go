package megaki

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"mkd/share"
)

var (
	// errReplayed is returned for a packet whose MAC was seen before.
	errReplayed = errors.New("it was sent before")
	// errReplayMemory is returned for a packet whose MAC cannot be remembered.
	errReplayMemory = errors.New("no memory to remember its MAC")
)

// macPrefix is the part of a MAC that is remembered: its first 63 bits. The
// last bit is set if the packet is as large as a RSTOR.
type macPrefix uint64

const asLargeAsRSTOR macPrefix = 1

func prefixOf(mac []byte) macPrefix {
	p := macPrefix(binary.BigEndian.Uint64(mac)) &^ asLargeAsRSTOR
	return max(p, 2) // 0 marks a free slot
}

// freeSlots is the size of a table that is not counted.
const freeSlots = 16

// seenMACs is the set of the MACs that were received and sent under one master
// key. It belongs to the key, not to a connection: MSGs meet it on the
// connection that uses the key, RSTORs on later ones. Without it a packet
// could be sent again, back to its sender, or, with type and length changed, as
// a RSTOR.
//
// While the connection is open, the set is an open-addressed table of 8 bytes
// a slot, at most three quarters full. Its size is taken from client. After
// retire, the set takes at most about 1 KiB.
type seenMACs struct {
	client *share.Client // of a Memory's replay pool; nil: not counted

	mu      sync.Mutex
	seed    uint64 // the peer can choose MACs, but not their slots
	table   []macPrefix
	used    int
	retired *retiredMACs // nil while the connection is open
}

func newSeenMACs(client *share.Client) *seenMACs {
	var seed [8]byte
	rand.Read(seed[:])
	return &seenMACs{client: client, seed: binary.NativeEndian.Uint64(seed[:])}
}

// add puts the MAC of a packet into the set. It returns errReplayed if the MAC
// is there already, and errReplayMemory if there is no room. ciphertext is the
// size of the packet's ciphertext: a packet with as much as a RSTOR could be
// replayed as a RSTOR after the connection has ended.
func (s *seenMACs) add(mac []byte, ciphertext int) error {
	p := prefixOf(mac)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired != nil {
		return s.retired.add(p)
	}
	if !s.reserve(1) {
		return errReplayMemory
	}
	i := s.slot(p)
	if s.table[i] != 0 {
		return errReplayed
	}
	if ciphertext == symmetricKey {
		p |= asLargeAsRSTOR
	}
	s.table[i] = p
	s.used++
	return nil
}

// hasRoom reports whether n more MACs can be added. It makes room if needed.
func (s *seenMACs) hasRoom(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retired != nil || s.reserve(n)
}

// retire is called when the connection that used the key has ended. Only a
// RSTOR can still come under the key, so retire keeps only the MACs that could
// pass for one.
func (s *seenMACs) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired != nil {
		return
	}
	s.retired = new(retiredMACs)
	for _, p := range s.table {
		if p&asLargeAsRSTOR != 0 {
			s.retired.insert(p)
		}
	}
	s.retired.list = slices.Clip(s.retired.list)
	if s.client != nil && len(s.table) > freeSlots {
		s.client.Give(8 * int64(len(s.table)))
	}
	s.table, s.client = nil, nil
}

// slot returns the slot that holds p, or would.
func (s *seenMACs) slot(p macPrefix) int {
	mask := uint64(len(s.table) - 1)
	p &^= asLargeAsRSTOR
	i := ((uint64(p) ^ s.seed) * 0x9E3779B97F4A7C15) >> 20 & mask
	for s.table[i] != 0 && s.table[i]&^asLargeAsRSTOR != p {
		i = (i + 1) & mask
	}
	return int(i)
}

// reserve grows the table until it has room for n more MACs.
func (s *seenMACs) reserve(n int) bool {
	for 4*(s.used+n) > 3*len(s.table) {
		if !s.grow() {
			return false
		}
	}
	return true
}

func (s *seenMACs) grow() bool {
	old := s.table
	size := max(freeSlots, 2*len(old))
	if s.client != nil && size > freeSlots {
		more := size - len(old)
		if len(old) == freeSlots {
			more = size
		}
		if !s.client.Take(8*int64(more), 0) {
			return false
		}
	}
	s.table = make([]macPrefix, size)
	for _, p := range old {
		if p != 0 {
			s.table[s.slot(p)] = p
		}
	}
	return true
}

const (
	// maxRetiredList is the number of MACs that are kept as a list, 4 bytes
	// each. A filter of the same size takes more.
	maxRetiredList = 256
	filterBits     = 8 * 4 * maxRetiredList // 1 KiB; a power of two
	filterHashes   = 4
)

// retiredMACs are the MACs of a key that no connection uses any more. A MAC
// that was not seen may be taken for one that was, which costs the client a
// handshake: for a list, one RSTOR in 2^24; for a filter of 1,000 MACs, one in
// 45; for one of 5,000, two in three.
type retiredMACs struct {
	list   []uint32
	filter *[filterBits / 64]uint64 // in place of the list
}

func (r *retiredMACs) add(p macPrefix) error {
	if r.contains(p) {
		return errReplayed
	}
	r.insert(p)
	return nil
}

func (r *retiredMACs) contains(p macPrefix) bool {
	if r.filter == nil {
		return slices.Contains(r.list, uint32(p>>32))
	}
	for _, bit := range filterPositions(uint32(p >> 32)) {
		if r.filter[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}

func (r *retiredMACs) insert(p macPrefix) {
	short := uint32(p >> 32)
	if r.filter == nil {
		if len(r.list) < maxRetiredList {
			r.list = append(r.list, short)
			return
		}
		r.filter = new([filterBits / 64]uint64)
		for _, s := range r.list {
			r.mark(s)
		}
		r.list = nil
	}
	r.mark(short)
}

func (r *retiredMACs) mark(short uint32) {
	for _, bit := range filterPositions(short) {
		r.filter[bit/64] |= 1 << (bit % 64)
	}
}

// filterPositions returns the bits of a filter that stand for a MAC.
func filterPositions(short uint32) (bits [filterHashes]uint64) {
	h := uint64(short) * 0x9E3779B97F4A7C15
	h ^= h >> 32
	h *= 0x9E3779B97F4A7C15
	for i := range bits {
		bits[i] = h >> (64 - 13*(i+1)) % filterBits
	}
	return bits
}
