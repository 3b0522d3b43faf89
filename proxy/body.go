package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// body is a request's body as it comes from a client of an HTTP door. It keeps
// to the limit of the route, and to the door's deadlines.
type body struct {
	io.ReadCloser
	control  *http.ResponseController
	timeout  time.Duration // how long it may stand still
	rate     int64         // bytes a second, once timeout has passed; 0: any
	limit    int64         // 0: none
	waited   time.Duration // for the client, in all
	received atomic.Int64
	ended    bool
	broken   bool // nobody knows where the next request begins

	mu      sync.Mutex
	reading bool
	closed  bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.ended {
		return b.ReadCloser.Read(p)
	}
	start := time.Now()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	b.reading = true
	b.control.SetReadDeadline(start.Add(b.patience()))
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	b.reading = false
	b.ended = errors.Is(err, io.EOF)
	b.mu.Unlock()
	b.waited += time.Since(start)
	total := b.received.Add(int64(n))
	if b.limit > 0 && total > b.limit {
		return 0, &tooLarge{b.limit}
	}
	switch {
	case err == nil:
	case b.ended:
		b.control.SetReadDeadline(time.Time{}) // the server itself waits now
	default:
		err = &clientBody{err}
		b.broken = true
	}
	return n, err
}

// patience is how long the next bytes may take.
func (b *body) patience() time.Duration {
	if b.rate == 0 {
		return b.timeout
	}
	earned := float64(b.received.Load()) / float64(b.rate) // seconds; too many for a Duration, perhaps
	if left := earned - b.waited.Seconds(); left < 0 {
		return b.timeout + time.Duration(left*float64(time.Second))
	}
	return b.timeout
}

// closePatience is how long what is left of a body may take to come, so that its
// connection can be used again.
const closePatience = 100 * time.Millisecond

// Close implements io.Closer. A Read that is under way ends: without that
// net/http would wait for it. Else net/http reads what is left, if it is little.
func (b *body) Close() error {
	b.mu.Lock()
	b.closed = true
	switch {
	case b.ended:
	case b.reading:
		b.control.SetReadDeadline(time.Unix(1, 0))
	default:
		b.control.SetReadDeadline(time.Now().Add(closePatience))
	}
	b.mu.Unlock()
	return b.ReadCloser.Close()
}
