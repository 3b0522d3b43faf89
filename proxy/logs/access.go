package logs

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"mkd/share"
)

// Bounds of what a line repeats of a request and its error, in bytes. A script's
// exception may repeat what the client sent.
const (
	maxMethod = 32
	maxHost   = 256
	maxError  = 2 << 10
	MaxPath   = 1 << 10
)

// Request is what the line of a request reports. Fields that are empty are left
// out of it. The query isn't among them: it may hold secrets.
type Request struct {
	Listener string
	Client   netip.AddrPort
	Session  fmt.Stringer // of Megaki; nil: none
	Payload  string       // of a Megaki message

	Method, Host, Path string

	Route, Backend, Upstream string

	Status  int
	In, Out int64 // bytes
	Started time.Time
	Err     error // why there is no response of a backend, or only a part

	// Failed is set if the fault is on this side; the line is then a warning.
	Failed bool
}

// Access logs a request. In a second there are no more lines than
// Options.AccessRate, and of requests with an error no more than a tenth of that:
// these cost a client nothing. A client has at most three times what is still
// free of a bound, as in package share, so that a flood from one client leaves
// the lines of others. Lines beyond are dropped, and counted.
func (l *Logs) Access(r *Request) {
	if !l.all && !r.Failed {
		return
	}
	if !l.rate.take(r.Client.Addr(), r.Err != nil, time.Now()) {
		l.queue.drop(droppedRate)
		return
	}
	var list [17]zap.Field
	fields := append(list[:0],
		zap.String("listener", r.Listener),
		zap.Stringer("client", r.Client),
	)
	if r.Session != nil {
		fields = append(fields, zap.Stringer("session", r.Session))
	}
	for _, f := range [...]struct {
		key, text string
		limit     int
	}{
		{"payload", r.Payload, maxMethod}, {"method", r.Method, maxMethod}, {"host", r.Host, maxHost}, {"path", r.Path, MaxPath},
		{"route", r.Route, maxHost}, {"backend", r.Backend, maxHost}, {"upstream", r.Upstream, maxHost},
	} {
		if f.text != "" {
			fields = append(fields, zap.String(f.key, Shorten(f.text, f.limit)))
		}
	}
	fields = append(fields,
		zap.Int("status", r.Status),
		zap.Int64("in", r.In),
		zap.Int64("out", r.Out),
		zap.Duration("took", time.Since(r.Started)),
	)
	if r.Err != nil {
		fields = append(fields, zap.String("error", Shorten(r.Err.Error(), maxError)))
	}
	if r.Failed {
		l.access.Warn("request", fields...)
		return
	}
	l.access.Info("request", fields...)
}

// Shorten returns text, and of a longer one its first limit bytes and an ellipsis.
func Shorten(text string, limit int) string {
	if len(text) > limit {
		return text[:limit] + " …"
	}
	return text
}

// accessRate bounds the lines of requests in each second.
type accessRate struct {
	limit int // lines in a second; 0: no limit

	mu      sync.Mutex
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

// take reports whether a request of a client may make a line at a time.
func (a *accessRate) take(client netip.Addr, refused bool, now time.Time) bool {
	if a.limit == 0 {
		return true
	}
	i := clientSlot(client)
	a.mu.Lock()
	defer a.mu.Unlock()
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
