package megaki

import (
	"container/list"
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// Token names a session. It travels in clear: it identifies, and is never a
// credential.
type Token [tokenSize]byte

// String returns the token in hex.
func (t Token) String() string { return hex.EncodeToString(t[:]) }

// Bounds of a Record.
const (
	MaxPending = 4  // keys made by a RSTOR and not used yet
	MaxResumes = 16 // MACs of RSTORs seen under the current key
)

// SessionKey is a master key. A store that keeps the values as they are keeps
// with them the MACs that were seen under the key; one that writes Key alone,
// to a disk or for other nodes, leaves them out, and then a replayed RSTOR can
// at most cost the session's owner a handshake.
type SessionKey struct {
	Key  [symmetricKey]byte
	seen *seenMACs
}

// Record is what resuming a session takes.
type Record struct {
	// Revision is the store's: it tells whether a record changed meanwhile.
	// The store sets it, whatever the caller left there.
	Revision uint64
	// Current is the key that the client is known to have.
	Current SessionKey
	// Pending are the keys that answered a RSTOR under Current. The client has
	// one of them, or none if the answer was lost. At most MaxPending.
	Pending []SessionKey
	// Resumes are the first 8 bytes of the MACs of the RSTORs seen under
	// Current. At most MaxResumes.
	Resumes [][8]byte
	// Expires is absolute, from the handshake; resuming doesn't move it.
	Expires time.Time
}

func (r *Record) clone() *Record {
	c := *r
	c.Pending = slices.Clone(r.Pending)
	c.Resumes = slices.Clone(r.Resumes)
	return &c
}

// SessionStore keeps the sessions that can be resumed. It is safe for use by
// several goroutines. Forgetting a session ends nothing but its resumability:
// live connections own their keys.
type SessionStore interface {
	// Load returns the session's record, nil if there is none or it has
	// expired. The caller may change what it gets.
	Load(ctx context.Context, t Token) (*Record, error)
	// CompareAndSwap puts next in the place of the record that Load returned;
	// old is nil if there was none. It reports false, and changes nothing, if
	// the record is another by now.
	CompareAndSwap(ctx context.Context, t Token, old, next *Record) (bool, error)
}

// MemoryStore is a SessionStore in memory. When it is full, the session that
// was used least recently is forgotten; a store of more than 127 sessions is
// divided by token into parts, up to 64, and that goes for each part.
type MemoryStore struct {
	shards []memoryShard
}

type memoryShard struct {
	mu       sync.Mutex
	capacity int
	revision uint64 // of the last record; no two have the same
	entries  map[Token]*list.Element
	recent   list.List // of *memoryEntry, the last used in front
}

type memoryEntry struct {
	token  Token
	record *Record
}

// NewMemoryStore returns a store of at most capacity sessions. A session takes
// about 0.5 KiB, and up to 128 KiB more if its client sent many messages of 17
// to 32 bytes under one key.
func NewMemoryStore(capacity int) *MemoryStore {
	n := min(64, max(1, capacity/64))
	s := &MemoryStore{shards: make([]memoryShard, n)}
	for i := range s.shards {
		s.shards[i].capacity = capacity / n
		if i < capacity%n {
			s.shards[i].capacity++
		}
		s.shards[i].entries = make(map[Token]*list.Element)
	}
	return s
}

// Len returns the number of sessions kept.
func (s *MemoryStore) Len() int {
	n := 0
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += len(sh.entries)
		sh.mu.Unlock()
	}
	return n
}

func (s *MemoryStore) shard(t Token) *memoryShard {
	return &s.shards[int(t[0])%len(s.shards)] // tokens are random
}

// Load implements SessionStore.
func (s *MemoryStore) Load(_ context.Context, t Token) (*Record, error) {
	sh := s.shard(t)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.find(t)
	if r == nil {
		return nil, nil
	}
	return r.clone(), nil
}

// CompareAndSwap implements SessionStore.
func (s *MemoryStore) CompareAndSwap(_ context.Context, t Token, old, next *Record) (bool, error) {
	next = next.clone()
	sh := s.shard(t)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := sh.find(t)
	if (now == nil) != (old == nil) || now != nil && now.Revision != old.Revision {
		return false, nil
	}
	sh.revision++
	next.Revision = sh.revision
	if now != nil {
		sh.entries[t].Value.(*memoryEntry).record = next
		return true, nil
	}
	sh.entries[t] = sh.recent.PushFront(&memoryEntry{t, next})
	for len(sh.entries) > sh.capacity {
		sh.remove(sh.recent.Back())
	}
	return true, nil
}

// find returns the record itself, and marks it as used.
func (sh *memoryShard) find(t Token) *Record {
	e := sh.entries[t]
	if e == nil {
		return nil
	}
	r := e.Value.(*memoryEntry).record
	if !time.Now().Before(r.Expires) {
		sh.remove(e)
		return nil
	}
	sh.recent.MoveToFront(e)
	return r
}

func (sh *memoryShard) remove(e *list.Element) {
	delete(sh.entries, e.Value.(*memoryEntry).token)
	sh.recent.Remove(e)
}
