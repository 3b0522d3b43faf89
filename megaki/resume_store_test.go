package megaki

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// contestedStore is a MemoryStore in which somebody else is faster, once.
type contestedStore struct {
	*MemoryStore
	first func(t Token) // called before a swap of a record, once
}

func (s *contestedStore) CompareAndSwap(ctx context.Context, t Token, old, next *Record) (bool, error) {
	if f := s.first; f != nil && old != nil {
		s.first = nil
		f(t)
	}
	return s.MemoryStore.CompareAndSwap(ctx, t, old, next)
}

// A RSTOR and a promotion that lose the race for their session's record are tried
// again.
func TestLostRace(t *testing.T) {
	store := &contestedStore{MemoryStore: NewMemoryStore(10)}
	touch := func(token Token) {
		r, err := store.MemoryStore.Load(t.Context(), token)
		if err != nil || r == nil {
			t.Fatalf("%v, %v", r, err)
		}
		if ok, err := store.MemoryStore.CompareAndSwap(t.Context(), token, r, r); !ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
	}
	s := &Server{Sessions: store}
	addr := start(t, s)
	p := established(t, addr)
	store.first = touch
	rstor, augment := p.rstor()
	q := connect(t, addr)
	q.send(rstor)
	key, err := openRSTORACK(q.read(typeRSTORACK), &p.key, &augment)
	if err != nil {
		t.Fatal(err)
	}
	q.begin(p.token, key)
	asksForHandshake(t, addr, rstor) // a replay is one all the same
	store.first = touch
	q.echoes("promotes at the second try")
	s.promoting.Wait()
	if p.resume(addr) != nil {
		t.Error("not promoted")
	}
	if q.resume(addr) == nil {
		t.Error("the promoted key doesn't resume")
	}

	// The session is forgotten under a connection whose key is pending.
	p = established(t, addr)
	q = p.resume(addr)
	store.first = func(token Token) {
		sh := store.shard(token)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.remove(sh.entries[token])
	}
	q.echoes("goes on")
	if q.resume(addr) != nil {
		t.Error("a forgotten session came back")
	}
}

// Connections of one session that resume at the same moment all do.
func TestResumeAtOnce(t *testing.T) {
	for _, store := range []SessionStore{NewMemoryStore(100), keyStore{NewMemoryStore(100)}} {
		s := &Server{Sessions: &meetingStore{SessionStore: store, readers: MaxPending}}
		addr := start(t, s)
		p := established(t, addr)
		s.Sessions.(*meetingStore).armed.Store(true)
		var wg sync.WaitGroup
		resumed := make([]*peer, MaxPending)
		for i := range resumed {
			rstor, augment := p.rstor()
			wg.Go(func() {
				q := connect(t, addr)
				q.send(rstor)
				response := q.read(typeRSTORACK, typeREQREHS)
				if response[5] == typeREQREHS {
					return
				}
				if key, err := openRSTORACK(response, &p.key, &augment); err == nil {
					q.begin(p.token, key)
					resumed[i] = q
				}
			})
		}
		wg.Wait()
		for i, q := range resumed {
			if q == nil {
				t.Errorf("%T: connection %d has to do a handshake", store, i)
				continue
			}
			q.echoes("resumed")
		}
	}
}

// meetingStore lets the first readers of a record wait for each other, once
// armed.
type meetingStore struct {
	SessionStore
	readers int32
	armed   atomic.Bool
	came    atomic.Int32
	all     chan struct{}
	once    sync.Once
}

func (s *meetingStore) Load(ctx context.Context, t Token) (*Record, error) {
	r, err := s.SessionStore.Load(ctx, t)
	if s.armed.Load() {
		s.once.Do(func() { s.all = make(chan struct{}) })
		if s.came.Add(1) == s.readers {
			close(s.all)
		}
		<-s.all
	}
	return r, err
}

// lostStore never swaps a record.
type lostStore struct {
	*MemoryStore
	swaps atomic.Int32
}

func (s *lostStore) CompareAndSwap(ctx context.Context, t Token, old, next *Record) (bool, error) {
	if old == nil {
		return s.MemoryStore.CompareAndSwap(ctx, t, old, next)
	}
	s.swaps.Add(1)
	return false, nil
}

// A RSTOR that always loses is refused in the end.
func TestAlwaysLostRace(t *testing.T) {
	store := &lostStore{MemoryStore: NewMemoryStore(10)}
	addr := start(t, &Server{Sessions: store})
	p := established(t, addr)
	rstor, _ := p.rstor()
	asksForHandshake(t, addr, rstor)
	if n := store.swaps.Load(); n != maxSwaps {
		t.Errorf("%d attempts, want %d", n, maxSwaps)
	}
}

// slowStore doesn't respond to whoever changes a record, until it is released.
type slowStore struct {
	*MemoryStore
	slow    atomic.Bool
	waiting chan struct{}
	release chan struct{}
}

func (s *slowStore) Load(ctx context.Context, t Token) (*Record, error) {
	if s.slow.Load() {
		s.waiting <- struct{}{}
		<-s.release
	}
	return s.MemoryStore.Load(ctx, t)
}

// No message waits for a store in which a key is promoted.
func TestPromotionDelaysNoMessage(t *testing.T) {
	store := &slowStore{MemoryStore: NewMemoryStore(10), waiting: make(chan struct{}, 1), release: make(chan struct{})}
	s := &Server{Sessions: store}
	addr := start(t, s)
	p := established(t, addr)
	q := p.resume(addr)
	store.slow.Store(true)
	for range 3 {
		q.echoes("while the store waits")
	}
	<-store.waiting
	store.slow.Store(false)
	close(store.release)
	s.promoting.Wait()
	if r := load(t, store, p.token); r.Current.Key != q.key || len(r.Pending) > 0 {
		t.Error("not promoted")
	}
}

// failingStore is a SessionStore that is out of order.
type failingStore struct{}

func (failingStore) Load(context.Context, Token) (*Record, error) {
	return nil, errors.New("out of order")
}
func (failingStore) CompareAndSwap(context.Context, Token, *Record, *Record) (bool, error) {
	return false, errors.New("out of order")
}

// A store that is out of order costs resumability and nothing else.
func TestFailingStore(t *testing.T) {
	addr := start(t, &Server{Sessions: failingStore{}})
	p := established(t, addr)
	p.echoes("x")
	rstor, _ := p.rstor()
	asksForHandshake(t, addr, rstor)
	p.echoes("x")
}

// keyStore keeps the keys alone, as a store on a disk or for several servers.
type keyStore struct{ *MemoryStore }

func (s keyStore) Load(ctx context.Context, t Token) (*Record, error) {
	r, err := s.MemoryStore.Load(ctx, t)
	if r != nil {
		r.Current.seen = nil
		for i := range r.Pending {
			r.Pending[i].seen = nil
		}
	}
	return r, err
}

// Where the store leaves out the MACs seen, a recorded MSG retyped as a RSTOR
// is accepted, and costs its owner nothing but one of the pending keys.
func TestStoreOfKeysAlone(t *testing.T) {
	addr := start(t, &Server{Sessions: keyStore{NewMemoryStore(10)}})
	p := established(t, addr)
	m := p.packet(typeMSG, []byte(strings.Repeat("m", 32)))
	p.send(m)
	p.response()
	q := connect(t, addr)
	q.send(retyped(m, typeRSTOR))
	q.read(typeRSTORACK)
	asksForHandshake(t, addr, retyped(m, typeRSTOR)) // but not twice: the record has its MAC
	p.echoes("unharmed")
	r := p.resume(addr)
	if r == nil {
		t.Fatal("the owner can't resume")
	}
	r.echoes("x")
	if r.resume(addr) == nil {
		t.Error("the owner can't resume again")
	}
}

// The bounds of a record, which its owner alone can reach.
func TestAcceptResumeBounds(t *testing.T) {
	key := SessionKey{Key: [symmetricKey]byte{1}, seen: newSeenMACs(nil)}
	p := &peer{token: Token{2}, box: newBox(&key.Key)}
	rstor := func() msgPacket { m, _ := p.rstor(); return m }
	if r, ok := acceptResume(&Record{Current: key}, rstor(), [symmetricKey]byte{7}, nil, verifyUnder); !ok || len(r.next.Pending) != 1 || len(r.next.Resumes) != 1 {
		t.Error("a good RSTOR is refused")
	}
	if _, ok := acceptResume(&Record{Current: key, Resumes: make([][8]byte, MaxResumes)}, rstor(), [symmetricKey]byte{7}, nil, verifyUnder); ok {
		t.Error("more RSTORs than there may be")
	}
	if _, ok := acceptResume(&Record{Current: key, Pending: make([]SessionKey, MaxPending)}, rstor(), [symmetricKey]byte{7}, nil, verifyUnder); ok {
		t.Error("more pending keys than there may be")
	}
	m := rstor()
	if _, ok := acceptResume(&Record{Current: SessionKey{Key: key.Key}, Resumes: [][8]byte{[8]byte(m.mac())}}, m, [symmetricKey]byte{7}, nil, verifyUnder); ok {
		t.Error("a RSTOR whose MAC the record has")
	}
	// Under a pending key the bounds of the current one end with it.
	other := SessionKey{Key: [symmetricKey]byte{9}}
	full := &Record{Current: other, Pending: []SessionKey{other, other, other, key}, Resumes: make([][8]byte, MaxResumes)}
	r, ok := acceptResume(full, rstor(), [symmetricKey]byte{7}, nil, verifyUnder)
	if !ok || r.next.Current.Key != key.Key || len(r.next.Pending) != 1 || len(r.next.Resumes) != 1 {
		t.Errorf("%v, %+v", ok, r.next)
	}
	if len(full.Pending) != 4 || full.Current.Key != other.Key {
		t.Error("the record that was loaded is changed")
	}
	zero := (&peer{token: Token{2}, box: newBox(new([symmetricKey]byte))}).packet(typeRSTOR, make([]byte, symmetricKey))
	for _, record := range []*Record{nil, {Current: key}, full} {
		if _, ok := acceptResume(record, bytes.Clone(zero), [symmetricKey]byte{7}, nil, verifyUnder); ok {
			t.Error("a RSTOR under a key of zeros")
		}
	}
}

// stuckStore doesn't respond for a token until it is released.
type stuckStore struct {
	*MemoryStore
	token    Token
	waiting  atomic.Int32
	released chan struct{}
}

func (s *stuckStore) Load(ctx context.Context, t Token) (*Record, error) {
	if t == s.token {
		s.waiting.Add(1)
		<-s.released
	}
	return s.MemoryStore.Load(ctx, t)
}

// One client that resumes all the time leaves a part of a slow store to others.
func TestOneClientLeavesTheStoreToOthers(t *testing.T) {
	store := &stuckStore{MemoryStore: NewMemoryStore(100), token: Token{1, 2, 3}, released: make(chan struct{})}
	s := &Server{Sessions: store}
	addr := start(t, s)
	const share, more = maxStoring * 3 / 4, 5
	flooder := established(t, addr)
	flooder.token = store.token
	for range share {
		rstor, _ := flooder.rstor()
		connect(t, addr).send(rstor)
	}
	eventually(t, "the share is used up", func() bool { return store.waiting.Load() == share })
	for range more {
		if flooder.resume(addr) != nil {
			t.Error("resumed")
		}
	}
	if n := store.waiting.Load(); n != share {
		t.Errorf("%d operations of one client", n)
	}
	p := connectFrom(t, "127.0.0.2", addr)
	p.handshake()
	rstor, augment := p.rstor()
	q := connectFrom(t, "127.0.0.2", addr)
	q.send(rstor)
	key, err := openRSTORACK(q.read(typeRSTORACK), &p.key, &augment)
	if err != nil {
		t.Fatal(err)
	}
	q.begin(p.token, key)
	q.echoes("resumed")
	close(store.released)
	eventually(t, "all operations have ended", func() bool { return s.storing.InUse() == 0 && s.storing.Clients() == 0 })
}
