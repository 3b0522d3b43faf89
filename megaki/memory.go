package megaki

import (
	"errors"
	"math/bits"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"mkd/share"
)

// ErrMemory is returned when a buffer would exceed the limit of its Memory, or
// its client's share of that.
var ErrMemory = errors.New("message memory is used up")

const (
	minBuffer = 1 << 10 // bytes; a SYN fits
	// A buffer is a power of two plus bufferSlack, which holds the header and
	// the padding of a MSG. So a message of a round size needs no buffer of
	// twice its size.
	bufferSlack   = 128
	bufferClasses = 17 // up to 64 MiB

	// One part in smallShare of a Memory is reserved for buffers of the smallest
	// size: clients that send or receive large messages slowly cannot keep
	// handshakes and small messages out.
	smallShare = 8
	// One part in idleShare of a Memory may stay allocated, unused, for each
	// buffer size.
	idleShare = 64
	// One part in replayShare of a Memory, on top of its limit, is for the MACs
	// that live connections remember.
	replayShare = 4

	// After buffers of one part in floodShare of a Memory were dropped, and once
	// no more than one in quietShare is in use, the garbage collector is run: an
	// idle process would keep them for minutes.
	floodShare      = 4
	quietShare      = 16
	releaseInterval = 10 * time.Second
)

// MaxMessageLimit is the largest limit that a message may have, in bytes.
const MaxMessageLimit = 64 << 20

// Memory bounds the bytes that the message buffers of all connections take,
// and keeps some buffers for reuse. Servers may share one. Connections without
// a message in flight hold no buffer. An eighth of the limit is reserved for
// messages of up to about 1 KiB. While more than 75 % of the limit is in use, a
// client (an IPv4 address or an IPv6 /64) gets no more than its share: see
// package share.
//
// Live connections remember the MACs of their packets: 11 to 21 bytes each. What
// goes beyond the first 12 of a connection comes from a second amount, a quarter
// of the limit, which clients share by the same rule. A connection that gets no
// more of it is closed after a response, and its client resumes with a new key.
type Memory struct {
	buffers *share.Pool
	replay  *share.Pool
	idle    [bufferClasses]freeList

	dropped  atomic.Int64 // bytes since the last release
	released atomic.Int64 // when that was, in ns since made
	made     time.Time
}

// NewMemory returns a Memory of limit bytes.
func NewMemory(limit int64) *Memory {
	m := &Memory{buffers: share.NewPool(limit, 0), replay: share.NewPool(limit/replayShare, 0), made: time.Now()}
	m.released.Store(-int64(releaseInterval))
	return m
}

// SetLimit changes the limit. Buffers that are in use stay.
func (m *Memory) SetLimit(limit int64) {
	m.buffers.SetLimits(limit, 0)
	m.replay.SetLimits(limit/replayShare, 0)
}

// InUse returns the number of bytes that buffers take now.
func (m *Memory) InUse() int64 { return m.buffers.InUse() }

// join returns the part of a client. An address that is not valid is exempt
// from shares.
func (m *Memory) join(client netip.Addr) *memoryClient {
	return &memoryClient{Memory: m, buffers: m.buffers.Join(client), replay: m.replay.Join(client)}
}

// memoryClient is a client's view of a Memory.
type memoryClient struct {
	*Memory
	buffers, replay *share.Client
}

// leave ends what join began. The client has given back all that it took.
func (c *memoryClient) leave() {
	c.buffers.Leave()
	c.replay.Leave()
}

// buffer is a piece of a Memory.
type buffer struct {
	b     []byte
	class int
}

func classOf(size int) int {
	if size <= minBuffer+bufferSlack {
		return 0
	}
	return bits.Len(uint(size-bufferSlack-1)) - bits.Len(uint(minBuffer-1))
}

func classSize(class int) int { return minBuffer<<class + bufferSlack }

// get returns a buffer of at least size bytes.
func (c *memoryClient) get(size int) (*buffer, error) {
	class := classOf(size)
	reserve := int64(0)
	if class > 0 {
		reserve = c.Memory.buffers.Limit() / smallShare
	}
	if !c.buffers.Take(int64(classSize(class)), reserve) {
		return nil, ErrMemory
	}
	if b := c.idle[class].get(); b != nil {
		return b, nil
	}
	return &buffer{b: make([]byte, classSize(class)), class: class}, nil
}

// put gives a buffer back.
func (c *memoryClient) put(b *buffer) {
	c.buffers.Give(int64(len(b.b)))
	limit := c.Memory.buffers.Limit()
	least := limit / idleShare / (minBuffer << b.class)
	if n := c.idle[b.class].put(b, int(least)); n > 0 {
		dropped := c.dropped.Add(int64(n) * int64(len(b.b)))
		if dropped > limit/floodShare && c.InUse() <= limit/quietShare {
			c.release()
		}
	}
}

// release returns the memory of dropped buffers to the system, at most once in
// releaseInterval.
func (m *Memory) release() {
	last, now := m.released.Load(), int64(time.Since(m.made))
	if now-last >= int64(releaseInterval) && m.released.CompareAndSwap(last, now) {
		m.dropped.Store(0)
		go debug.FreeOSMemory()
	}
}

// grow returns a buffer of at least size bytes that begins with the first
// keep bytes of b. On success it gives b back; otherwise the caller keeps b.
func (c *memoryClient) grow(b *buffer, keep, size int) (*buffer, error) {
	bigger, err := c.get(size)
	if err != nil {
		return b, err
	}
	copy(bigger.b, b.b[:keep])
	c.put(b)
	return bigger, nil
}

// freeList keeps buffers of one size for reuse. It keeps no more than are in
// use: so a flood, which uses many at once, leaves only the least number behind
// when it ends.
type freeList struct {
	mu    sync.Mutex
	inUse int
	free  []*buffer
}

// get returns a free buffer, nil if there is none, and counts one as in use.
func (l *freeList) get() (b *buffer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse++
	if n := len(l.free) - 1; n >= 0 {
		b, l.free[n] = l.free[n], nil
		l.free = l.free[:n]
	}
	return b
}

// put keeps b unless there are enough. It keeps at least least buffers, and
// returns the number of buffers that it drops.
func (l *freeList) put(b *buffer, least int) (dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse--
	l.free = append(l.free, b)
	for keep := max(l.inUse, least); len(l.free) > keep; dropped++ {
		n := len(l.free) - 1
		l.free[n] = nil
		l.free = l.free[:n]
	}
	return dropped
}
