package listener

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"

	"mkd/proxy/request"
	"mkd/share"
)

// What clients may have sent before anybody asked for it, in bytes. It is taken from
// Daemon.HTTPMemory.
const (
	handshakeMemory = 128 << 10 // of a TLS handshake: messages of up to 64 KiB, and as much garbage
	quicMemory      = 96 << 10  // of an HTTP/3 connection with its handshake
	freeHead        = 4 << 10   // of a head, which isn't counted
)

// errHTTPMemory is for what would exceed limits.http_memory.
var errHTTPMemory error = &request.Error{Kind: request.Busy, Err: errors.New("limits.http_memory, or this client's share of it, is in use")}

// unread is the memory that a connection takes of Daemon.HTTPMemory. It is safe for use
// by several goroutines.
type unread struct {
	pool *share.Pool
	addr netip.Addr // of the client, the zero value for a trusted proxy

	mu     sync.Mutex
	client *share.Client // nil while nothing is taken
	taken  int64
	bodies int64 // what the bodies of all streams could take together, without the connection's bound
}

// Take takes n bytes, and reports whether they were there.
func (u *unread) Take(n int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.take(n)
}

// Give gives n bytes back.
func (u *unread) Give(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.give(n)
}

// takeHead takes the memory of the head of a request of HTTP/2 or HTTP/3, if it is longer
// than most. release gives it back, and is called once.
func (u *unread) takeHead(h *http.Request) (release func(), ok bool) {
	n := int64(len(h.Method) + len(h.RequestURI) + len(h.Host))
	for name, values := range h.Header {
		for _, value := range values {
			n += int64(len(name) + len(value))
		}
	}
	if n <= freeHead {
		return func() {}, true
	}
	return func() { u.Give(n) }, u.Take(n)
}

// takeBody takes the memory of a body of length bytes, -1 if that isn't known, of which
// the client may send as much in advance as the windows of its stream and connection allow.
// release gives it back, and is called once.
func (u *unread) takeBody(length int64) (release func(), ok bool) {
	n := int64(maxStreamBuffer)
	if length >= 0 {
		n = min(n, length)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if more := min(u.bodies+n, maxConnBuffer) - min(u.bodies, maxConnBuffer); !u.take(more) {
		return nil, false
	}
	u.bodies += n
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.bodies -= n
		u.give(min(u.bodies+n, maxConnBuffer) - min(u.bodies, maxConnBuffer))
	}, true
}

// take is Take. The caller holds the mutex.
func (u *unread) take(n int64) bool {
	if n == 0 {
		return true
	}
	if u.client == nil {
		u.client = u.pool.Join(u.addr)
	}
	ok := u.client.Take(n, 0)
	if ok {
		u.taken += n
	}
	u.leave()
	return ok
}

// give is Give. The caller holds the mutex.
func (u *unread) give(n int64) {
	if n == 0 {
		return
	}
	u.client.Give(n)
	u.taken -= n
	u.leave()
}

// leave ends what Join began if nothing is taken. The caller holds the mutex.
func (u *unread) leave() {
	if u.taken == 0 {
		u.client.Leave()
		u.client = nil
	}
}

// newUnread returns that of a connection.
func (l *web) newUnread(remote netip.AddrPort) *unread {
	return &unread{pool: l.daemon.HTTPMemory, addr: l.counted(remote)}
}
