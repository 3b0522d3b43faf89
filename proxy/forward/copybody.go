package forward

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"mkd/proxy/request"
)

// flushInterval is how long bytes of a response wait for more of it before they
// are flushed to the client.
const flushInterval = 50 * time.Millisecond

var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// flushing is when the parts of a body are flushed to the client.
type flushing int

const (
	flushNever flushing = iota // all of the body has been received
	flushLate                  // within flushInterval, if the next part hasn't come by then
	flushEach                  // at once
)

// flushingOf returns when the parts of a response are to be flushed.
func flushingOf(resp *http.Response) flushing {
	if resp.ContentLength < 0 {
		return flushEach
	}
	if isEventStream(resp.Header["Content-Type"]) {
		return flushEach
	}
	if body, ok := resp.Body.(interface{ Received() bool }); ok && body.Received() || resp.ContentLength == 0 {
		return flushNever // most short responses come in one piece
	}
	return flushLate
}

// isEventStream reports whether the type of a body is text/event-stream, with any
// parameters.
func isEventStream(lines []string) bool {
	if len(lines) == 0 {
		return false
	}
	kind, _, _ := strings.Cut(lines[0], ";")
	return strings.EqualFold(textproto.TrimString(kind), "text/event-stream")
}

// copyBody copies the body of a response to w, and distinguishes a failure of body
// from one of w. The header counts as the first part.
func copyBody(w io.Writer, body io.Reader, when flushing, flush func() error) error {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	var late *lateFlush
	switch when {
	case flushEach:
		flush() // the header
	case flushLate:
		late = lateFlushes.Get().(*lateFlush)
		late.begin(flush)
		defer late.end()
	}
	for {
		n, err := body.Read(buf[:])
		if n > 0 {
			if err := late.write(w, buf[:n]); err != nil {
				if errors.As(err, new(*spoolError)) {
					return err
				}
				return fmt.Errorf("%w: %w", request.ErrClientGone, err)
			}
			if when == flushEach {
				flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lateFlush flushes a writer when what was written has waited for
// flushInterval. Its timer is started once an interval at most, not for every
// write.
type lateFlush struct {
	mu      sync.Mutex // held while the writer is used
	flush   func() error
	timer   *time.Timer
	waiting bool // the timer is running, and something has to be flushed then
}

var lateFlushes = sync.Pool{New: func() any { return new(lateFlush) }}

// begin starts the interval for the header.
func (l *lateFlush) begin(flush func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush = flush
	l.start()
}

// start starts the interval. The caller holds mu.
func (l *lateFlush) start() {
	l.waiting = true
	if l.timer == nil {
		l.timer = time.AfterFunc(flushInterval, l.run)
	} else {
		l.timer.Reset(flushInterval)
	}
}

// run flushes at the end of an interval. It does nothing if the response has
// ended in the meantime.
func (l *lateFlush) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.waiting = false
		l.flush() // the next write reports an error
	}
}

// write writes p to w, and starts the interval if it isn't running. l may be nil.
func (l *lateFlush) write(w io.Writer, p []byte) error {
	if l == nil {
		_, err := w.Write(p)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := w.Write(p)
	if err == nil && !l.waiting {
		l.start()
	}
	return err
}

// end stops the timer, and returns l to the pool. The writer isn't used any more.
func (l *lateFlush) end() {
	l.mu.Lock()
	l.timer.Stop()
	l.waiting, l.flush = false, nil
	l.mu.Unlock()
	lateFlushes.Put(l)
}
