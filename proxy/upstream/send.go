package upstream

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sender sends a request: at once, or, if it is long or the server takes it
// slowly, in a goroutine of its own. A server may answer before it has read all,
// and neither side must then wait for the other to read.
type sender struct {
	head      *[]byte       // what is sent first: the head, and a short body
	acquired  bool          // a connection is counted for it
	expecting bool          // the body waits for 100 (Continue)
	sent      atomic.Bool   // a byte was written
	progress  atomic.Int64  // when the goroutine wrote last, in ns since the epoch
	last      atomic.Bool   // the goroutine has begun its last write
	reading   atomic.Bool   // the goroutine waits for the body
	done      chan struct{} // closed when the goroutine has ended; nil: there is none
	writing   sync.Mutex    // held while the socket is written to

	// What follows is the goroutine's until it has ended.
	err   error // why not all was written
	whole bool  // all was written
}

// onePart is the length in bytes of what is written over TLS as one record.
const onePart = 16 << 10

// send writes the request, or begins to. An error means that no answer can come.
func (x *exchange) send() error {
	short := x.isShort()
	if !x.expecting && (!short || x.conn.tls != nil && len(*x.head) > onePart) {
		x.inBackground(*x.head, !short)
		return nil
	}
	if x.expecting {
		x.asked = x.since.Add(continueWait)
	}
	_, err := x.conn.stream.Write(*x.head)
	switch {
	case err != nil && !x.sent.Load():
		return err
	case err != nil:
		x.err = err // the server may have answered before it closed
	case x.done == nil:
		x.whole = short
	}
	return nil
}

// startBody sends the body that waited for 100 (Continue).
func (x *exchange) startBody() {
	x.expecting = false
	if x.done != nil || x.err == nil {
		x.inBackground(nil, true)
	}
}

// inBackground writes head, and then the body if that isn't part of it.
func (x *exchange) inBackground(head []byte, withBody bool) {
	earlier, done, body := x.done, make(chan struct{}), x.body
	x.done = done
	x.last.Store(!withBody)
	x.conn.Conn.SetWriteDeadline(time.Time{}) // whoever reads the answer sees to it that there is progress
	go func() {
		defer close(done)
		if earlier != nil {
			if <-earlier; x.err != nil {
				return
			}
		}
		var err error
		if len(head) > 0 {
			_, err = x.conn.stream.Write(head)
		}
		if err == nil && withBody {
			err = x.sendBody(body)
		}
		x.err, x.whole = err, err == nil
		if errors.Is(err, ErrBody) {
			x.abort(err) // there will be no answer worth having
		}
	}()
}

// joinSender waits for the goroutine that sends, if there is one, and reports
// whether the server took all of the request. If the answer is whole before
// that, the rest isn't wanted.
func (x *exchange) joinSender(answered bool) bool {
	if x.done != nil && !x.joined(answered) {
		x.mu.Lock()
		x.conn.Conn.Close()
		x.mu.Unlock()
		x.closeBody()
		<-x.done
		x.whole = false
	}
	x.closeBody()
	return x.whole
}

// joined tells whether the goroutine that sends has ended. If only its last write
// may be missing, which the server has mostly taken before it answered, that is
// waited for a moment.
func (x *exchange) joined(answered bool) bool {
	select {
	case <-x.done:
		return true
	default:
	}
	if !answered || !x.last.Load() {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-x.done:
		return true
	case <-timer.C:
		return false
	}
}

// transmit writes to the socket. In the foreground it doesn't wait for long:
// what the server doesn't take goes on in the background.
func (x *exchange) transmit(p []byte) (int, error) {
	x.writing.Lock()
	c := x.conn.Conn
	n, err := c.Write(p)
	if n > 0 {
		x.sent.Store(true)
	}
	background := x.done != nil
	if background {
		x.progress.Store(time.Now().UnixNano())
	}
	if background || !errors.Is(err, os.ErrDeadlineExceeded) {
		x.writing.Unlock()
		return n, err
	}
	done := make(chan struct{})
	x.done = done
	x.last.Store(x.isShort())
	c.SetWriteDeadline(time.Time{})
	rest, short := slices.Clone(p[n:]), x.isShort()
	go func() {
		defer close(done)
		defer x.writing.Unlock()
		for len(rest) > 0 && x.err == nil {
			var n int
			n, x.err = c.Write(rest[:min(len(rest), onePart)])
			if rest = rest[n:]; n > 0 {
				x.sent.Store(true)
				x.progress.Store(time.Now().UnixNano())
			}
		}
		x.whole = short && x.err == nil
	}()
	return len(p), nil
}
