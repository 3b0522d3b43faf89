package balance

import (
	"io"
	"net/http"
	"sync"
)

// maxRecorded is the length in bytes up to which a body is recorded while it is
// read, so that it can be read again.
const maxRecorded = 64 << 10

// body is the body of a request that may be sent to several upstreams in turn.
// Each reads it through a view of its own. It stays open when a view is closed, as long as another
// view could begin at its start: because nothing was read yet, or because all
// that was is recorded.
type body struct {
	source io.ReadCloser

	mu      sync.Mutex
	limit   int       // bytes that may be recorded
	seen    []byte    // what was read
	end     error     // what came after it
	lost    bool      // it can't be read again
	reading bool      // source.Read is in flight
	current *bodyView // nobody else reads any more
	done    bool      // there will be no other view
	closed  bool
}

type bodyView struct {
	b      *body
	read   int // bytes of seen
	closed bool
}

func newBody(r *http.Request) *body {
	b := &body{source: r.Body}
	if r.ContentLength > 0 && r.ContentLength <= maxRecorded {
		b.limit = int(r.ContentLength)
	}
	return b
}

// view returns a view for the next try.
func (b *body) view() *bodyView {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = &bodyView{b: b}
	return b.current
}

// whole reports whether another view would read all.
func (b *body) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lost && !b.reading
}

// settle ends the series of views. If the last one isn't in use it closes the
// body.
func (b *body) settle(unused bool) {
	b.mu.Lock()
	b.done = true
	due := b.shut(unused || b.current.closed)
	b.mu.Unlock()
	if due {
		b.source.Close()
	}
}

// shut reports whether the body is to be closed, which it is once.
func (b *body) shut(wanted bool) bool {
	due := wanted && !b.closed
	b.closed = b.closed || due
	return due
}

func (v *bodyView) Read(p []byte) (int, error) {
	b := v.b
	b.mu.Lock()
	switch {
	case v.closed || b.current != v:
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	case v.read < len(b.seen):
		n := copy(p, b.seen[v.read:])
		v.read += n
		b.mu.Unlock()
		return n, nil
	case b.end != nil:
		b.mu.Unlock()
		return 0, b.end
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading, b.end = false, err
	b.record(p[:n])
	v.read = len(b.seen)
	return n, err
}

// record keeps what was read, unless it is too much.
func (b *body) record(p []byte) {
	if b.lost || len(b.seen)+len(p) > b.limit {
		b.lost, b.seen = true, nil
		return
	}
	if b.seen == nil && len(p) > 0 {
		b.seen = make([]byte, 0, b.limit)
	}
	b.seen = append(b.seen, p...)
}

// Close closes the body if nobody could read it again. A Read in flight returns
// by it, so that then it is closed in any case.
func (v *bodyView) Close() error {
	b := v.b
	b.mu.Lock()
	v.closed = true
	b.lost = b.lost || b.reading
	due := b.shut(b.current == v && (b.done || b.lost))
	b.mu.Unlock()
	if due {
		return b.source.Close()
	}
	return nil
}
