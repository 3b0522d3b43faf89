package phpcgi

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Bounds of what one process gets into the log.
const (
	maxLine       = 4 << 10 // bytes; a longer line comes in pieces
	linesPerSec   = 100
	linesAtOnce   = 200
	maxOutputTail = 2 << 10 // bytes that are kept to explain a failed start
)

// output is what one process prints.
type output struct {
	log  *slog.Logger
	done chan struct{} // closed at its end

	allowed float64 // lines, by the goroutine that reads
	last    time.Time
	dropped int

	mu   sync.Mutex
	tail []byte // what was printed last
}

func newOutput(log *slog.Logger) *output {
	return &output{log: log, done: make(chan struct{}), allowed: linesAtOnce, last: time.Now()}
}

// read logs what comes from r, line by line, until its end.
func (o *output) read(r io.Reader) {
	defer close(o.done)
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if line = bytes.TrimRight(line, "\r\n"); len(bytes.TrimSpace(line)) > 0 {
			o.line(string(line))
		}
		if err != nil && err != bufio.ErrBufferFull {
			o.tellDropped()
			return
		}
	}
}

// line logs a line, unless there were too many.
func (o *output) line(text string) {
	o.remember(text)
	now := time.Now()
	o.allowed = min(linesAtOnce, o.allowed+now.Sub(o.last).Seconds()*linesPerSec)
	o.last = now
	if o.allowed < 1 {
		o.dropped++
		return
	}
	o.allowed--
	o.tellDropped()
	o.log.LogAttrs(context.Background(), slog.LevelInfo, "php-cgi", slog.String("text", text))
}

// tellDropped tells how many lines were left out.
func (o *output) tellDropped() {
	if o.dropped > 0 {
		o.log.Warn("lines were left out: php-cgi prints too many", "lines", o.dropped)
		o.dropped = 0
	}
}

func (o *output) remember(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = append(append(o.tail, text...), '\n')
	if over := len(o.tail) - maxOutputTail; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
}

// lastWords returns what was printed last.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.tail))
}
