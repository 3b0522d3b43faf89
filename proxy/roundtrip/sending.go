package roundtrip

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sending is the state of a request that is sent: at once, or, if it is long or
// the server takes it slowly, in a goroutine of its own. A server may respond
// before it has read all, and neither side must then wait for the other to read.
type sending struct {
	sent     atomic.Bool   // a byte was written
	progress atomic.Int64  // when the goroutine wrote last, or got a part of the body, in ns since the Trip began
	last     atomic.Bool   // the last write has begun
	reading  atomic.Bool   // the request's body is being read
	done     chan struct{} // closed when the goroutine has ended; nil: there is none
	writing  sync.Mutex    // held while the socket is written to

	// What follows is the goroutine's until it has ended.
	err   error // why not all was written
	whole bool  // all was written
}

// step is how many bytes are written at once in the background. Each step is
// progress.
const step = 16 << 10

// Sent reports whether a byte was written.
func (t *Trip) Sent() bool { return t.sent.Load() }

// SendError returns why not all of the request was written, as far as it is
// known. It must not be called while a goroutine sends.
func (t *Trip) SendError() error { return t.err }

// SetSent records the outcome of writes by the caller: err is why the rest can't
// be written, and whole reports that nothing is missing.
func (t *Trip) SetSent(whole bool, err error) {
	if t.done == nil {
		t.whole, t.err = whole, err
	} // otherwise the goroutine does
}

// Background calls send in a goroutine, after an earlier one that has ended well.
// With last, its first write is the last one of the request. An ErrBody of it
// aborts the Trip.
func (t *Trip) Background(last bool, send func() error) {
	earlier, done := t.done, make(chan struct{})
	t.done = done
	t.last.Store(last)
	t.setWriteDeadline(time.Time{}) // whoever reads the response sees to it that there is progress
	go func() {
		defer close(done)
		if earlier != nil {
			if <-earlier; t.err != nil {
				return
			}
		}
		err := send()
		t.err, t.whole = err, err == nil
		if errors.Is(err, ErrBody) {
			t.Abort(err) // there will be no response worth having
		}
	}()
}

// Transmit writes to the connection. In the foreground it doesn't wait for long:
// what the server doesn't take goes on in the background. With last, it is the
// last write of the request.
func (t *Trip) Transmit(p []byte, last bool) (int, error) {
	t.writing.Lock()
	n, err := t.conn.Write(p)
	if n > 0 {
		t.sent.Store(true)
	}
	background := t.done != nil
	if background {
		t.progressed()
	}
	if background || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.writing.Unlock()
		return n, err
	}
	done := make(chan struct{})
	t.done = done
	t.last.Store(last)
	t.setWriteDeadline(time.Time{})
	conn, rest := t.conn, slices.Clone(p[n:])
	go func() {
		defer close(done)
		defer t.writing.Unlock()
		for len(rest) > 0 && t.err == nil {
			var n int
			n, t.err = conn.Write(rest[:min(len(rest), step)])
			if rest = rest[n:]; n > 0 {
				t.sent.Store(true)
				t.progressed()
			}
		}
		t.whole = last && t.err == nil
	}()
	return len(p), nil
}

// progressed notes that the server took a part of the request, or that a part of its body
// came.
func (t *Trip) progressed() { t.progress.Store(int64(time.Since(t.began))) }

// InBackground reports whether a goroutine sends, or has sent, a part of the
// request.
func (t *Trip) InBackground() bool { return t.done != nil }

// join waits for the goroutine that sends, if there is one, and reports whether
// the server has taken all of the request. If the response is complete before
// that, the rest isn't wanted.
func (t *Trip) join(responded bool) bool {
	if t.done != nil && !t.Joined(responded) {
		t.mu.Lock()
		t.conn.Close()
		t.mu.Unlock()
		t.CloseBody()
		<-t.done
		t.whole = false
	}
	return t.whole
}

// Joined reports whether the goroutine that sends has ended. If only its last
// write may be missing, which the server has mostly taken before it responded,
// this is waited for a moment.
func (t *Trip) Joined(responded bool) bool {
	if t.done == nil {
		return true
	}
	select {
	case <-t.done:
		return true
	default:
	}
	if !responded || !t.last.Load() {
		return false
	}
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-t.done:
		return true
	case <-timer.C:
		return false
	}
}
