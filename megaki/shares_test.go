package megaki

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mkd/share"
)

// connectFrom is connect from another address of this machine.
func connectFrom(t testing.TB, from, addr string) *peer {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn)
}

const greedy = "127.0.0.9"

// TestHalfSentMessagesLeaveRoomForOthers: 656 half-sent messages of one client
// kept everybody else's messages over 1 KiB out, for as long as message_timeout.
func TestHalfSentMessagesLeaveRoomForOthers(t *testing.T) {
	const limit = 8 << 20
	s := &Server{Memory: NewMemory(limit), MessageTimeout: time.Hour}
	addr := start(t, s)
	half := func(from string) *peer {
		p := connectFrom(t, from, addr)
		p.handshake()
		m := p.packet(typeMSG, make([]byte, 200_000))
		go p.Write(m[:len(m)-1]) // fails when the server closes
		return p
	}
	before := s.Memory.InUse()
	for range 60 { // 15 MiB of buffers
		half(greedy)
	}
	eventually(t, "one client holds its share", func() bool { return s.Memory.InUse() > limit/2 })

	for i := range 3 {
		p := connectFrom(t, fmt.Sprintf("127.0.1.%d", i+1), addr)
		p.handshake()
		for range 5 {
			want := bytes.Repeat([]byte("m"), 100_000)
			p.send(p.packet(typeMSG, want))
			if got, _ := p.response(); !bytes.Equal(got, want) {
				t.Fatalf("client %d: %d bytes", i, len(got))
			}
		}
	}
	if n := s.Memory.InUse(); n < before+limit/2 || n > limit*7/8 {
		t.Errorf("%d bytes in use: the flood should hold its share of %d still", n, limit)
	}
}

// TestBuffersAreReleasedAfterAFlood: a flood left as much memory again in the
// pools of the buffers that its messages had outgrown, and of those of its end.
func TestBuffersAreReleasedAfterAFlood(t *testing.T) {
	const limit = 64 << 20
	m := memory(limit)
	idle := func() (bytes int) {
		for class := range m.idle {
			l := &m.idle[class]
			l.mu.Lock()
			bytes += len(l.free) * classSize(class)
			l.mu.Unlock()
		}
		return bytes
	}
	var all []*buffer
	for range 40 { // messages of 1 MiB that arrive slowly
		b, err := m.get(minBuffer)
		for err == nil && len(b.b) < 1<<20 {
			b, err = m.grow(b, 10, 2*len(b.b)-bufferSlack)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	if n := idle(); n > limit/4 {
		t.Errorf("%d bytes idle in the flood", n)
	}
	var flood, after runtime.MemStats
	runtime.GC() // what earlier tests left may go, and doesn't count
	runtime.ReadMemStats(&flood)
	for _, b := range all {
		m.put(b)
	}
	clear(all)
	eventually(t, "the memory of the flood is free", func() bool {
		runtime.GC()
		runtime.ReadMemStats(&after)
		return after.HeapAlloc < flood.HeapAlloc-30<<20
	})
	if n := idle(); n > limit/4 || m.InUse() != 0 {
		t.Errorf("after the flood %d bytes are idle and %d in use", n, m.InUse())
	}
	// A message has its buffer from before.
	b, err := m.get(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	was := &b.b[0]
	m.put(b)
	if b, _ = m.get(1 << 20); &b.b[0] != was {
		t.Error("a buffer isn't used again")
	}
	m.put(b)
}

// TestActiveSessionIsNotEvictedFirst: messages did not count as use in the
// store, so a busy session was evicted while an idle one stayed.
func TestActiveSessionIsNotEvictedFirst(t *testing.T) {
	store := NewMemoryStore(2)
	addr := start(t, &Server{Sessions: store})
	busy := established(t, addr)
	idle := established(t, addr)
	busy.echoes("a message")
	established(t, addr) // evicts one
	if load(t, store, busy.token) == nil {
		t.Error("the busy session was evicted")
	}
	if load(t, store, idle.token) != nil {
		t.Error("the idle session is there")
	}
}

// touches counts the calls of Touch.
type touches struct {
	*MemoryStore
	n int
}

func (s *touches) Touch(t Token) { s.n++; s.MemoryStore.Touch(t) }

// A session is touched at most once in TouchInterval: messages share no lock.
func TestTouchIsCheap(t *testing.T) {
	store := &touches{MemoryStore: NewMemoryStore(10)}
	servePipes(t, &Server{Sessions: store}, func(t *testing.T, l *fakeListener) {
		p := l.dial(t)
		p.handshake()
		for range 100 {
			p.echoes("x")
		}
		if store.n != 1 {
			t.Errorf("100 messages at once touch the store %d times", store.n)
		}
		time.Sleep(TouchInterval)
		p.echoes("x")
		p.echoes("x")
		if store.n != 2 {
			t.Errorf("after %v: %d times", TouchInterval, store.n)
		}
	})
}

// TestHandshakesOfOneAddressEvictItsOwnSessions: 2,468 handshakes of one
// address evicted all other sessions.
func TestHandshakesOfOneAddressEvictItsOwnSessions(t *testing.T) {
	add := func(s *MemoryStore, n int, from string) Token {
		r := recordOf(n)
		r.Client = share.Network(netip.MustParseAddr(from))
		swap(t, s, tokenOf(n), nil, r)
		return tokenOf(n)
	}
	for _, capacity := range []int{3, 100, 1000, 20_000} {
		s := NewMemoryStore(capacity)
		var quiet []Token
		for i := range min(20, capacity-1) {
			quiet = append(quiet, add(s, i, fmt.Sprintf("198.51.100.%d", i)))
		}
		const flood = 1_000_000
		last := Token{}
		for i := range 2*capacity + 2468 {
			last = add(s, flood+i, "2001:db8::1")
		}
		for i, token := range quiet {
			if load(t, s, token) == nil {
				t.Fatalf("capacity %d: the session of client %d was evicted", capacity, i)
			}
		}
		if load(t, s, last) == nil || s.Len() > capacity || s.Len() < capacity*9/10 {
			t.Errorf("capacity %d: %d sessions, the last is there: %t", capacity, s.Len(), load(t, s, last) != nil)
		}
	}
}

// TestTrustedProxyIsExemptFromShares: a proxy that sends no PROXY header speaks
// for many clients.
func TestTrustedProxyIsExemptFromShares(t *testing.T) {
	store := NewMemoryStore(100)
	var asked atomic.Int32
	s := &Server{
		Memory:         NewMemory(1 << 20),
		Sessions:       store,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix(greedy + "/32")},
		AllowHandshake: func(netip.Addr) bool { return asked.Add(1) == 1 },
	}
	addr := start(t, s)
	p := connectFrom(t, greedy, addr)
	p.handshake()
	if r := load(t, store, p.token); r.Client.IsValid() {
		t.Errorf("its session is of %s", r.Client)
	}
	established(t, addr)
	if asked.Load() != 1 {
		t.Errorf("AllowHandshake was called %d times, want once, for the other client", asked.Load())
	}
	// The share of its address, if it had one, is taken.
	hog := s.Memory.join(netip.MustParseAddr(greedy))
	taken := int64(0)
	for hog.buffers.Take(1<<10, 0) {
		taken += 1 << 10
	}
	defer func() {
		hog.buffers.Give(taken)
		hog.leave()
	}()
	p.echoes(strings.Repeat("m", 5000))
}

// Where nobody has many sessions, the least recently used one of all goes.
func TestEvictionAmongEquals(t *testing.T) {
	s := NewMemoryStore(127) // one part
	for i := range 127 {
		r := recordOf(i)
		r.Client = share.Network(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		swap(t, s, tokenOf(i), nil, r)
	}
	s.Touch(tokenOf(0))
	r := recordOf(200)
	r.Client = share.Network(netip.MustParseAddr("203.0.113.1"))
	swap(t, s, tokenOf(200), nil, r)
	for i, want := range map[int]bool{0: true, 1: false, 2: true, 126: true, 200: true} {
		if got := load(t, s, tokenOf(i)) != nil; got != want {
			t.Errorf("session %d is there: %t", i, got)
		}
	}
}

// The server records the client's network, and keeps it when a key is promoted.
func TestRecordHasItsClient(t *testing.T) {
	store := NewMemoryStore(10)
	addr := start(t, &Server{Sessions: store})
	p := connectFrom(t, greedy, addr)
	p.handshake()
	want := netip.MustParsePrefix(greedy + "/32")
	if got := load(t, store, p.token).Client; got != want {
		t.Errorf("the session is of %s", got)
	}
	p = p.resume(addr)
	p.echoes("x")
	if got := load(t, store, p.token).Client; got != want {
		t.Errorf("after resuming, the session is of %s", got)
	}
}

// TestSecretsAreDroppedOnClose: nothing can be sealed or opened after Close, and
// the session is not to be had.
func TestSecretsAreDroppedOnClose(t *testing.T) {
	addr := start(t, &Server{})
	c, err := Dial(t.Context(), "tcp", addr, clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	kept := c.Session()
	live := c.session.(*sessionV1)
	if _, err := c.RoundTrip(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	box := live.box
	c.Close()
	c.Close()
	if c.Session() != (Session{}) || live.box != nil || live.key != [symmetricKey]byte{} || box.block != nil || box.mac != nil || box.enc != nil || box.dec != nil {
		t.Error("keys are held after Close")
	}
	if _, err := live.seal(make([]byte, 1000), 1); err != errSessionClosed {
		t.Errorf("sealing: %v", err)
	}
	if _, err := live.open(make([]byte, 1000)); err != errSessionClosed {
		t.Errorf("opening: %v", err)
	}
	if _, err := c.RoundTrip(t.Context(), []byte("x")); err == nil {
		t.Error("a message was sent")
	}
	cfg := clientConfig()
	cfg.Session = &kept
	again, err := Dial(t.Context(), "tcp", addr, cfg)
	if err != nil || !again.Resumed() {
		t.Fatalf("a copy of the session is not resumed: %v", err)
	}
	again.Close()
}

// Close ends a round trip in flight before it drops what that uses.
func TestCloseDuringARoundTrip(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	addr := start(t, &Server{Handler: HandlerFunc(func(*ResponseWriter, *Request) error {
		entered <- true
		<-leave
		return nil
	})})
	defer close(leave)
	c, err := Dial(t.Context(), "tcp", addr, clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := c.RoundTrip(t.Context(), []byte("x"))
		failed <- err
	}()
	<-entered
	c.Close()
	if err := <-failed; err == nil {
		t.Error("no error")
	}
}
