package listener

import (
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// streamMemory is what a stream of HTTP/3 takes whose header isn't complete, in bytes: a
// goroutine, and the buffer into which a short header is read.
const streamMemory = 8 << 10

// http3Heads are the streams of an HTTP/3 connection whose headers aren't complete. quic-go
// keeps what has come of each, and a client may begin one in every stream. They take of
// Daemon.HTTPMemory; the first one alone is part of quicMemory.
type http3Heads struct {
	unread *unread

	mu    sync.Mutex
	taken map[quic.StreamID]int64
}

// admit takes the memory of a header that begins, and reports whether it was there. It waits
// for the header's length. leave gives it back.
func (h *http3Heads) admit(str *quic.Stream, maxHeader int64) bool {
	id := str.StreamID()
	if !h.begin(id) {
		return false
	}
	n := announcedHead(str, maxHeader)
	return n <= freeHead || h.take(id, n)
}

func (h *http3Heads) begin(id quic.StreamID) bool {
	h.mu.Lock()
	alone := len(h.taken) == 0
	h.taken[id] = 0
	h.mu.Unlock()
	return alone || h.take(id, streamMemory)
}

func (h *http3Heads) take(id quic.StreamID, n int64) bool {
	if !h.unread.Take(n) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken[id] += n
	return true
}

// leave gives back what admit took, if that wasn't done yet.
func (h *http3Heads) leave(id quic.StreamID) {
	h.mu.Lock()
	n := h.taken[id]
	delete(h.taken, id)
	h.mu.Unlock()
	h.unread.Give(n)
}

// announcedHead returns the length of the header that begins a stream, at most maxHeader: a
// longer one isn't read. It is maxHeader, too, if another frame comes first, and 0 if the
// stream ends.
func announcedHead(str *quic.Stream, maxHeader int64) int64 {
	const headers = 1 // the type of a frame (RFC 9114, section 7.2.2)
	var buf [16]byte  // of its type and length, the first bytes of which show how long they are
	n := 0
	for range 2 {
		if _, err := str.Peek(buf[:n+1]); err != nil {
			return 0
		}
		n += 1 << (buf[n] >> 6)
	}
	if _, err := str.Peek(buf[:n]); err != nil {
		return 0
	}
	kind, used, _ := quicvarint.Parse(buf[:n])
	length, _, _ := quicvarint.Parse(buf[used:n])
	if kind != headers {
		return maxHeader
	}
	return min(int64(length), maxHeader)
}
