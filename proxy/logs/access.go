package logs

import (
	"encoding"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"mkd/share"
)

// Bounds of what a line repeats of a request and its error, in bytes. A script's
// exception may repeat what the client sent.
const (
	maxMethod = 32
	maxHost   = 256
	maxAgent  = 512
	maxError  = 8 << 10 // a stack trace is long
	MaxPath   = 1 << 10
)

// Request is what the line of a request reports. Fields that are empty are left
// out of it. Queries aren't among them: they may hold secrets.
type Request struct {
	Listener string
	Client   netip.AddrPort
	Session  encoding.TextAppender // of Megaki, in hexadecimal digits; nil: none
	Payload  string                // of a Megaki message
	Key      string                // the server key that the session began with

	Method, Host, Path, Proto string

	// These are needed only if Wants reports it.
	Agent   string // User-Agent
	Referer string // may have a query, which is left out
	ID      string // X-Request-Id

	Route, Backend, Upstream string
	Worker                   int // the process that ran a PHP script; 0: none

	Status  int
	In, Out int64 // bytes
	Started time.Time
	Err     error // why there is no response of a backend, or only a part

	// Failed is set if the fault is on this side; the line is then a warning.
	Failed bool
}

// Wants reports whether a request has a line, and which of its fields that would have:
// Agent and Referer, and ID. failed is its Failed.
func (l *Logs) Wants(failed bool) (line, agent, id bool) {
	r := l.rules.Load()
	if !r.all && !failed {
		return false, false, false
	}
	return true, r.line.agent || failed && r.failure.agent, r.line.id || failed && r.failure.id
}

// Access logs a request. One that failed has a second line, if the format of its own
// has no room for the error. In a second there are no more lines than
// Options.AccessRate, and of requests with an error no more than a tenth of that:
// these cost a client nothing. A client has at most three times what is still
// free of a bound, as in package share, so that a flood from one client leaves
// the lines of others. Lines beyond are dropped, and counted.
func (l *Logs) Access(r *Request) {
	rules := l.rules.Load()
	if !rules.all && !r.Failed {
		return
	}
	now := time.Now()
	if !l.rate.take(r.Client.Addr(), r.Err != nil, now) {
		l.queue.drop(droppedRate)
		return
	}
	line := lines.Get().(*[]byte)
	*line = rules.line.write((*line)[:0], r, now)
	l.access.Write(*line)
	if r.Failed && rules.failure.write != nil {
		*line = rules.failure.write((*line)[:0], r, now)
		l.access.Write(*line)
	}
	lines.Put(line)
}

// lines has buffers for access lines, whose length is bounded.
var lines = sync.Pool{New: func() any { return new([]byte) }}

// Shorten returns text, and of a longer one its first limit bytes and an ellipsis.
func Shorten(text string, limit int) string {
	if len(text) > limit {
		return text[:limit] + " …"
	}
	return text
}

// accessRate bounds the lines of requests in each second.
type accessRate struct {
	mu      sync.Mutex
	limit   int   // lines in a second; 0: no limit
	unix    int64 // the second that all and refused count
	all     second
	refused second
}

// second counts the lines of one second, and who had them.
type second struct {
	total   int
	clients [256]int // by a hash of the client's address
}

// hashSeed makes it unknown which clients share a count.
var hashSeed = maphash.MakeSeed()

// clientSlot returns the index of a client in second.clients.
func clientSlot(client netip.Addr) uint64 {
	return maphash.Comparable(hashSeed, share.Network(client)) % uint64(len(second{}.clients))
}

func (a *accessRate) setLimit(limit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limit = limit
}

// take reports whether a request of a client may make a line at a time.
func (a *accessRate) take(client netip.Addr, refused bool, now time.Time) bool {
	i := clientSlot(client)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limit == 0 {
		return true
	}
	if unix := now.Unix(); unix != a.unix {
		a.unix, a.all, a.refused = unix, second{}, second{}
	}
	return (!refused || a.refused.take(max(a.limit/10, 1), i)) && a.all.take(a.limit, i)
}

func (s *second) take(limit int, i uint64) bool {
	if s.clients[i] >= 3*(limit-s.total) {
		return false
	}
	s.total++
	s.clients[i]++
	return true
}
