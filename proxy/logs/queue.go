package logs

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	queueLimit  = 4 << 20             // bytes of lines that wait to be written
	accessLimit = queueLimit / 4 * 3  // access lines leave the rest to the daemon's own lines
	reportLimit = queueLimit + 64<<10 // a report finds room in a full queue
	batch       = 64 << 10            // bytes of access lines that are written before queue.flushAfter
	flushAfter  = time.Second         // the longest that an access line or a report waits, unless Options say otherwise
)

// Reasons for which lines are dropped.
const (
	droppedFull = iota
	droppedRate
	droppedSampled
)

// droppedCounts counts dropped lines by reason.
type droppedCounts [3]uint64

// queue holds lines until its goroutine has written them.
type queue struct {
	flushAfter time.Duration       // the longest that an access line or a report waits
	report     func(droppedCounts) // logs the count; called by the queue's goroutine

	wake  chan struct{} // has a value if there is something to write
	ended chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	out     io.Writer
	old     []io.Closer   // what lines went to before
	pending []byte        // whole lines
	lines   uint64        // in pending
	dropped droppedCounts // since the last report
	totals  droppedCounts // since the start
	timer   *time.Timer   // wakes the goroutine for access lines and counts
	armed   bool          // whether timer runs
	closed  bool
	torn    bool // what was written last to out ends within a line, as the disk was full

	reported time.Time // of the last report; the goroutine's alone
}

func newQueue(out io.Writer, flushAfter time.Duration, report func(droppedCounts)) *queue {
	q := &queue{out: out, flushAfter: flushAfter, report: report, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	q.timer = time.AfterFunc(flushAfter, q.signal)
	q.timer.Stop()
	go q.run()
	return q
}

// sink is where loggers write their lines.
type sink struct {
	q     *queue
	limit int  // of queue.pending, in bytes
	lazy  bool // the lines may wait for queue.flushAfter
}

// Write implements io.Writer for one line. It doesn't keep the line, and doesn't
// wait.
func (s sink) Write(line []byte) (int, error) {
	q := s.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending)+len(line) > s.limit {
		q.dropLocked(droppedFull)
		return len(line), nil
	}
	q.pending = append(q.pending, line...)
	q.lines++
	if s.lazy && len(q.pending) < batch {
		q.armLocked()
	} else {
		q.signal()
	}
	return len(line), nil
}

// Sync implements zapcore.WriteSyncer. It does nothing: loggers don't wait.
func (s sink) Sync() error { return nil }

// drop counts a line that is dropped.
func (q *queue) drop(reason int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropLocked(reason)
}

func (q *queue) dropLocked(reason int) {
	q.dropped[reason]++
	q.totals[reason]++
	q.armLocked()
}

// armLocked wakes the goroutine after q.flushAfter.
func (q *queue) armLocked() {
	if !q.armed && !q.closed {
		q.armed = true
		q.timer.Reset(q.flushAfter)
	}
}

// signal wakes the goroutine.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run writes lines out until the queue is closed.
func (q *queue) run() {
	defer close(q.ended)
	var spare []byte
	for range q.wake {
		out, lines, n, closed := q.take(spare)
		written, err := q.write(out, lines)
		q.closeOld()
		if spare = lines[:0]; cap(spare) > 4*batch {
			spare = nil // it grew in a flood
		}
		q.reportDropped(n-min(written, n), err, closed)
		if closed {
			out, lines, _, _ := q.take(nil)
			q.write(out, lines)
			return
		}
	}
}

// write writes lines, and returns how many of them were written whole. A line that was
// torn off before doesn't run into the first one.
func (q *queue) write(out io.Writer, lines []byte) (whole uint64, err error) {
	if len(lines) == 0 {
		return 0, nil
	}
	q.mu.Lock()
	torn := q.torn
	q.torn = false
	q.mu.Unlock()
	if torn {
		if _, err := out.Write([]byte{'\n'}); err != nil {
			q.setTorn()
			return 0, err
		}
	}
	n, err := out.Write(lines)
	if n > 0 && lines[n-1] != '\n' {
		q.setTorn()
	}
	return uint64(bytes.Count(lines[:n], []byte{'\n'})), err
}

func (q *queue) setTorn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.torn = true
}

// beginFile notes that further lines go to another file.
func (q *queue) beginFile() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.torn = false
}

// setOut has further lines written elsewhere, and closes old, if it isn't nil, once
// no line is being written to it.
func (q *queue) setOut(out io.Writer, old io.Closer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out = out
	if old != nil {
		q.old = append(q.old, old)
		q.torn = false
		q.signal()
	}
}

// closeOld closes what no line goes to any more.
func (q *queue) closeOld() {
	q.mu.Lock()
	old := q.old
	q.old = nil
	q.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// take returns all pending lines, and leaves an empty buffer in their place.
func (q *queue) take(empty []byte) (out io.Writer, lines []byte, n uint64, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, n = q.pending, q.lines
	q.pending, q.lines = empty, 0
	q.timer.Stop()
	q.armed = false
	return q.out, lines, n, q.closed
}

// reportDropped reports the lines that were dropped, once in q.flushAfter, after lost
// lines couldn't be written. While writing fails it only counts: a report would fail
// too.
func (q *queue) reportDropped(lost uint64, err error, closed bool) {
	q.mu.Lock()
	q.dropped[droppedFull] += lost
	q.totals[droppedFull] += lost
	dropped := q.dropped
	switch {
	case err != nil, dropped == (droppedCounts{}):
		q.mu.Unlock()
		return
	case !closed && time.Since(q.reported) < q.flushAfter:
		q.armLocked()
		q.mu.Unlock()
		return
	}
	q.dropped = droppedCounts{}
	q.mu.Unlock()
	q.reported = time.Now()
	q.report(dropped)
}

// close ends the goroutine once all pending lines are written, and waits for
// that no longer than limit.
func (q *queue) close(limit time.Duration) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-q.ended:
		return nil
	case <-timer.C:
		return errors.New("log: the last lines can't be written: nobody reads them")
	}
}
