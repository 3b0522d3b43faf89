package megaki

import (
	"container/list"
	"context"
	"encoding/binary"
	"iter"
	"net/netip"
	"sync"
	"time"
)

// MemoryStore is a SessionStore in memory. When it is full, it evicts the
// session that was used least recently: of the client that has most sessions,
// if that client has more than a 64th of the store; otherwise of all. A client
// is an IPv4 address or an IPv6 /64; sessions through trusted proxies are of no
// client. A store of more than 127 sessions is
// divided by token into parts, each of which evicts for itself.
type MemoryStore struct {
	shards []memoryShard
}

var (
	_ SessionStore = (*MemoryStore)(nil)
	_ Toucher      = (*MemoryStore)(nil)
)

const (
	minShard = 64   // sessions
	maxShard = 2048 // of more, the search for the client with most would be felt
	// greedyShare is the part of a shard, one in so many, that a client may have
	// before its sessions are the first to be evicted.
	greedyShare = 64
)

type memoryShard struct {
	mu       sync.Mutex
	capacity int
	revision uint64 // of the last record; no two have the same
	entries  map[Token]*list.Element
	recent   list.List            // of *memoryEntry, the last used in front
	clients  map[netip.Prefix]int // sessions of each
}

type memoryEntry struct {
	token  Token
	client netip.Prefix
	record *Record
}

// NewMemoryStore returns a store of at most capacity sessions. A session takes
// about 0.6 KiB, and up to 1 KiB more if its client sent many messages of 17 to
// 32 bytes under one key.
func NewMemoryStore(capacity int) *MemoryStore {
	n := max(1, min(64, capacity/minShard), (capacity+maxShard-1)/maxShard)
	s := &MemoryStore{shards: make([]memoryShard, n)}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.capacity = capacity / n
		if i < capacity%n {
			sh.capacity++
		}
		sh.entries = make(map[Token]*list.Element)
		sh.clients = make(map[netip.Prefix]int)
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

// All returns the sessions that are kept, in each part of the store those first that
// were used least recently. The records must not be changed. The store can be used
// meanwhile, but not by the loop's body.
func (s *MemoryStore) All() iter.Seq2[Token, *Record] {
	return func(yield func(Token, *Record) bool) {
		for i := range s.shards {
			if !s.shards[i].all(yield) {
				return
			}
		}
	}
}

func (sh *memoryShard) all(yield func(Token, *Record) bool) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for e := sh.recent.Back(); e != nil; e = e.Prev() {
		entry := e.Value.(*memoryEntry)
		if !yield(entry.token, entry.record) {
			return false
		}
	}
	return true
}

func (s *MemoryStore) shard(t Token) *memoryShard { // tokens are random
	return &s.shards[int(binary.LittleEndian.Uint32(t[:]))%len(s.shards)]
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
	sh.entries[t] = sh.recent.PushFront(&memoryEntry{t, next.Client, next})
	sh.clients[next.Client]++
	if len(sh.entries) > sh.capacity {
		sh.remove(sh.victim())
	}
	return true, nil
}

// Touch implements Toucher.
func (s *MemoryStore) Touch(t Token) {
	sh := s.shard(t)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.find(t)
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

// victim returns the session to evict.
func (sh *memoryShard) victim() *list.Element {
	var greediest netip.Prefix
	most := max(1, sh.capacity/greedyShare)
	found := false
	for client, n := range sh.clients {
		if n > most && client.IsValid() {
			greediest, most, found = client, n, true
		}
	}
	e := sh.recent.Back()
	if !found {
		return e
	}
	for e.Value.(*memoryEntry).client != greediest {
		e = e.Prev()
	}
	return e
}

func (sh *memoryShard) remove(e *list.Element) {
	entry := e.Value.(*memoryEntry)
	delete(sh.entries, entry.token)
	sh.recent.Remove(e)
	if sh.clients[entry.client]--; sh.clients[entry.client] == 0 {
		delete(sh.clients, entry.client)
	}
}
