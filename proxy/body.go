package proxy

import (
	"errors"
	"io"
	"net/http"
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
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.ended {
		return b.ReadCloser.Read(p)
	}
	start := time.Now()
	b.control.SetReadDeadline(start.Add(b.patience()))
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(start)
	total := b.received.Add(int64(n))
	if b.limit > 0 && total > b.limit {
		return 0, &tooLarge{b.limit}
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.ended = true
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
	earned := time.Duration(float64(b.received.Load()) / float64(b.rate) * float64(time.Second))
	return min(b.timeout, b.timeout+earned-b.waited)
}
