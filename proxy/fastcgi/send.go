package fastcgi

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// sender sends a request: at once, or, if it is long or the server takes it
// slowly, in a goroutine of its own. A server may answer before it has read all,
// and neither side must then wait for the other to read.
type sender struct {
	sent     atomic.Bool   // a byte was written
	progress atomic.Int64  // when the goroutine wrote last, in ns since the epoch
	done     chan struct{} // closed when the goroutine has ended; nil: there is none

	// What follows is the goroutine's until it has ended.
	err   error // why not all was written
	whole bool  // all was written
}

// patience is how long a request goes on before its context is watched, and
// before one that can't be written is written in the background: most are over
// by then, and are spared the cost.
const patience = 100 * time.Millisecond

// send writes the request, or begins to, under the deadline of the first wait.
// An error means that no answer can come.
func (e *exchange) send() error {
	q := e.q
	if q.length > smallBody {
		e.sendInBackground(*q.head)
		return nil
	}
	n, err := e.conn.Write(*q.head)
	if n > 0 {
		e.sent.Store(true)
	}
	switch {
	case err == nil:
		e.whole = true
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.sendInBackground((*q.head)[n:])
	case n == 0:
		return err
	default:
		e.err = err // the server may have answered before it closed
	}
	return nil
}

// sendInBackground writes what is left of head, and then the body.
func (e *exchange) sendInBackground(head []byte) {
	q := e.q
	body := q.body
	e.body, q.body = body, nil
	e.done = make(chan struct{})
	e.conn.SetWriteDeadline(time.Time{}) // whoever reads the answer sees to it that there is progress
	go func() {
		defer close(e.done)
		err := e.write(head)
		if err == nil && q.length > smallBody {
			err = e.sendBody(body, q.length)
		}
		e.err, e.whole = err, err == nil
		if errors.Is(err, ErrBody) {
			e.abort(err) // there will be no answer worth having
		}
	}()
}

// sendBody writes a body in STDIN records. Nothing that is written makes a body
// look whole before its end was seen: PHP takes it for whole once it has as many
// bytes as CONTENT_LENGTH says.
func (e *exchange) sendBody(body io.Reader, length int64) error {
	buf := e.t.getBuffer()
	defer e.t.putBuffer(buf)
	if cap(*buf) < 2*headerSize+chunkContent {
		*buf = make([]byte, 0, 2*headerSize+chunkContent)
	}
	for left := length; left > 0; {
		n := int(min(left, chunkContent))
		b := appendHeader((*buf)[:0], typeStdin, n)[:headerSize+n]
		if _, err := io.ReadFull(body, b[headerSize:]); err != nil {
			return bodyError(err)
		}
		if left -= int64(n); left == 0 {
			if err := atEnd(body, length); err != nil {
				return err
			}
			b = appendHeader(b, typeStdin, 0)
		}
		if err := e.write(b); err != nil {
			return err
		}
	}
	return nil
}

// write writes p, in steps of which each is progress.
func (e *exchange) write(p []byte) error {
	n, err := e.conn.Write(p)
	if n > 0 {
		e.sent.Store(true)
		e.progress.Store(time.Now().UnixNano())
	}
	return err
}
