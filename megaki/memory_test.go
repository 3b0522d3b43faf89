package megaki

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMemoryClasses(t *testing.T) {
	for class := range bufferClasses {
		size := classSize(class)
		if classOf(size) != class || classOf(size+1) != class+1 {
			t.Errorf("class %d: %d bytes are of class %d, one more of %d", class, size, classOf(size), classOf(size+1))
		}
	}
	if classOf(0) != 0 || classOf(len(synPacket{})) != 0 {
		t.Error("a SYN is of the smallest class")
	}
	// The largest message has a class, and no round size wastes half a buffer.
	if c := classOf(msgHeaderSize + MaxMessageLimit); c != bufferClasses-1 {
		t.Errorf("the largest message is of class %d", c)
	}
	for size := minBuffer; size <= MaxMessageLimit; size *= 2 {
		if got := classSize(classOf(msgHeaderSize + size)); got != size+bufferSlack {
			t.Errorf("a message of %d bytes takes a buffer of %d", size, got)
		}
	}
}

func TestMemoryBounds(t *testing.T) {
	small := int64(classSize(0))
	m := memory(3*small + 1)
	var all []*buffer
	for range 3 {
		b, err := m.get(1)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	if _, err := m.get(1); err != ErrMemory || m.InUse() != 3*small {
		t.Errorf("%v, %d in use", err, m.InUse())
	}
	if b, err := m.grow(all[0], 10, 5000); err != ErrMemory || b != all[0] {
		t.Errorf("grow: %v", err)
	}
	for _, b := range all {
		m.put(b)
	}
	if m.InUse() != 0 {
		t.Errorf("%d in use", m.InUse())
	}
}

func TestMemoryGrowKeepsWhatItHolds(t *testing.T) {
	m := memory(1 << 20)
	b, err := m.get(100)
	if err != nil {
		t.Fatal(err)
	}
	copy(b.b, "what it holds")
	if b, err = m.grow(b, 13, 10000); err != nil || len(b.b) < 10000 || string(b.b[:13]) != "what it holds" {
		t.Errorf("%v, %d bytes", err, len(b.b))
	}
	if m.InUse() != int64(len(b.b)) {
		t.Errorf("%d in use, the buffer has %d", m.InUse(), len(b.b))
	}
	m.put(b)
}

// An eighth is kept for the smallest buffers, whatever large ones are held.
func TestMemoryKeepsAPartForSmallMessages(t *testing.T) {
	const limit = 1 << 20
	for _, size := range []int{classSize(0) + 1, 10_000, 100_000} {
		m := memory(limit)
		var all []*buffer
		for {
			b, err := m.get(size)
			if err != nil {
				break
			}
			all = append(all, b)
		}
		small := 0
		for {
			b, err := m.get(minBuffer)
			if err != nil {
				break
			}
			all = append(all, b)
			small++
		}
		if want := limit / smallShare / classSize(0); small < want {
			t.Errorf("with buffers of %d bytes taken there is room for %d small ones, want %d", size, small, want)
		}
		if m.InUse() > limit {
			t.Errorf("%d in use", m.InUse())
		}
		for _, b := range all {
			m.put(b)
		}
	}
}

// No buffer has two owners, and the limit holds at every moment.
func TestMemoryConcurrency(t *testing.T) {
	const limit = 200_000
	m := memory(limit)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0))
			mark := byte(w + 1)
			for range 2000 {
				b, err := m.get(1 + random.IntN(30_000))
				if err != nil {
					continue
				}
				taken.Add(1)
				b.b[0], b.b[len(b.b)-1] = mark, mark
				if n := m.InUse(); n > limit {
					t.Errorf("%d in use", n)
				}
				runtime.Gosched()
				if b.b[0] != mark || b.b[len(b.b)-1] != mark {
					t.Error("a buffer has two owners")
				}
				m.put(b)
			}
		})
	}
	wg.Wait()
	if m.InUse() != 0 {
		t.Errorf("%d in use", m.InUse())
	}
	if n := taken.Load(); n < 1000 {
		t.Errorf("only %d buffers were in use", n)
	}
}

// A client that announces 1 MiB and sends 10 bytes holds 2 KiB at most: buffers
// grow with the bytes that arrive.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	p := established(t, addr)
	holdsNothing(t, s)
	m := p.msg(strings.Repeat("m", DefaultMaxMessage))
	sent := 0
	for _, n := range []int{10, 74, 1000, 1500, 10_000, 200_000} {
		p.send(m[sent:n])
		sent = n
		least := int64(classSize(classOf(n)))
		eventually(t, fmt.Sprintf("%d bytes arrived", n), func() bool { return s.memory.InUse() >= least })
		// Twice as much at most, and twice that while it grows.
		if got := s.memory.InUse(); n <= 1000 && got > 2<<10 || got > 6*int64(n)+int64(classSize(0)) {
			t.Errorf("%d bytes in use for %d that arrived", got, n)
		}
	}
	p.send(m[sent:])
	if got, _ := p.response(); len(got) != DefaultMaxMessage {
		t.Errorf("a response of %d bytes", len(got))
	}
	holdsNothing(t, s)
}

// Clients that send large messages slowly don't keep handshakes and small
// messages out.
func TestMemorySlowLargeMessages(t *testing.T) {
	s := &Server{Memory: NewMemory(4 << 20)}
	addr := start(t, s)
	witness := established(t, addr)
	large := bytes.Repeat([]byte("m"), 1<<20)
	refused := make(chan error, 16)
	var slow []*peer
	for range cap(refused) {
		p := witness.resume(addr)
		p.echoes("promote the key")
		witness = p
		slow = append(slow, p)
	}
	witness = established(t, addr)
	for _, p := range slow {
		m := p.packet(typeMSG, large)
		go func() {
			if _, err := p.Write(m[:len(m)-1]); err != nil {
				refused <- err
				return
			}
			refused <- refusal(p)
		}()
	}
	<-refused // the first that finds no memory
	for range 10 {
		witness.echoes("a small message")
		established(t, addr).echoes("after a new handshake")
	}
	if n := s.memory.InUse(); n < 1<<20 {
		t.Errorf("%d bytes in use: nobody holds memory any more", n)
	}
	if n := s.memory.InUse(); n > 4<<20 {
		t.Errorf("%d bytes in use, over the limit", n)
	}
	for _, p := range slow {
		p.Close()
	}
}

// That memory is used up doesn't end a connection on which nothing comes.
func TestIdleConnectionOutlivesUsedUpMemory(t *testing.T) {
	a, b := socketPair(t)
	m := memory(int64(classSize(0)))
	taken, err := m.get(1)
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(a, m)
	a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := w.first(); err == nil || errors.Is(err, ErrMemory) {
		t.Errorf("nothing came: %v", err)
	}
	a.SetReadDeadline(time.Now().Add(patience))
	b.Write([]byte("MGK"))
	if err := w.first(); !errors.Is(err, ErrMemory) {
		t.Errorf("bytes came: %v", err)
	}
	m.put(taken)
	if err := w.first(); err != nil || w.n != 3 {
		t.Errorf("there is memory again: %d bytes, %v", w.n, err)
	}
	w.release()
}

// A response that is read from somewhere takes at most twice its size, and the
// half of that while it grows.
func TestResponseGrowsByDoubling(t *testing.T) {
	for _, size := range []int{0, 1, 1072, 1073, 5000, 100_000, 1 << 20} {
		m := memory(16 << 20)
		w := ResponseWriter{mem: m, limit: 1 << 20, session: newSessionV1(Token{}, new([symmetricKey]byte), newSeenMACs(nil), 0, 1<<20, 1)}
		if err := w.begin(); err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("a"), size)
		if n, err := w.ReadFrom(struct{ *bytes.Buffer }{bytes.NewBuffer(want)}); err != nil || n != int64(size) || w.Len() != size {
			t.Fatalf("%d bytes: %d, %v", size, n, err)
		}
		if !bytes.Equal(w.Bytes(), want) {
			t.Errorf("%d bytes became others", size)
		}
		if most := int64(2*(size+msgHeaderSize+blockSize) + classSize(0)); m.InUse() > most {
			t.Errorf("%d bytes take %d", size, m.InUse())
		}
		w.release()
		if m.InUse() != 0 {
			t.Errorf("%d in use", m.InUse())
		}
	}
}
