package megaki

import (
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
)

// ErrMemory says that the buffers of all messages together have reached the
// limit of their Memory.
var ErrMemory = errors.New("message memory is used up")

const (
	minBuffer = 1 << 10 // bytes; a SYN fits
	// Beyond a power of two a buffer has room for a MSG's header and filling,
	// so that a message of a round size needs no buffer of twice its size.
	bufferSlack   = 128
	bufferClasses = 17 // up to 64 MiB

	// smallShare is the part of a Memory, one in so many, that only buffers of
	// the smallest size may take: clients that send or take large messages
	// slowly can't keep handshakes and small messages out.
	smallShare = 8
)

// MaxMessageLimit is the largest limit that a message may have, in bytes.
const MaxMessageLimit = 64 << 20

// Memory bounds the bytes that message buffers take, of all connections of
// the servers that share it, and pools the buffers. Connections without a
// message under way hold none. An eighth of it is kept for messages of up to
// about 1 KiB.
type Memory struct {
	limit int64
	used  atomic.Int64
	pools [bufferClasses]sync.Pool
}

// NewMemory returns a Memory of limit bytes.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// InUse returns how many bytes buffers take now.
func (m *Memory) InUse() int64 { return m.used.Load() }

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

// get takes a buffer of at least size bytes.
func (m *Memory) get(size int) (*buffer, error) {
	class := classOf(size)
	n := int64(classSize(class))
	if !m.take(n, class) {
		return nil, ErrMemory
	}
	if b, ok := m.pools[class].Get().(*buffer); ok {
		return b, nil
	}
	return &buffer{b: make([]byte, n), class: class}, nil
}

// take counts n bytes as used, if there are so many. A call that fails never
// shows in the count, so that it can't make another fail.
func (m *Memory) take(n int64, class int) bool {
	limit := m.limit
	if class > 0 {
		limit -= m.limit / smallShare
	}
	for {
		used := m.used.Load()
		if n > limit-used {
			return false
		}
		if m.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// put gives a buffer back.
func (m *Memory) put(b *buffer) {
	m.used.Add(-int64(len(b.b)))
	m.pools[b.class].Put(b)
}

// grow returns a buffer of at least size bytes that begins with the first
// keep bytes of b. On success b is given back; else the caller keeps it.
func (m *Memory) grow(b *buffer, keep, size int) (*buffer, error) {
	bigger, err := m.get(size)
	if err != nil {
		return b, err
	}
	copy(bigger.b, b.b[:keep])
	m.put(b)
	return bigger, nil
}
