package php

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Bounds of what a worker gets into the log.
const (
	maxLogText    = 8 << 10 // bytes of a line, or of a LOG frame
	linesPerSec   = 100
	linesAtOnce   = 200
	maxOutputTail = 2 << 10 // bytes that are kept to explain a failed boot
)

// output is what one worker has to say for the log. A flood of lines is
// bounded; how many were left out is said.
type output struct {
	log *slog.Logger

	mu      sync.Mutex
	allowed float64
	last    time.Time
	dropped int
	tail    []byte // the end of what was printed, until forgetTail
	keep    bool
	told    bool   // how PHP itself puts a fatal error adds nothing
	request uint64 // the one that began last
	route   string // its
}

func newOutput(log *slog.Logger) *output {
	return &output{log: log, allowed: linesAtOnce, last: time.Now(), keep: true}
}

// begin names the request that what comes from now on belongs to.
func (o *output) begin(id uint64, route string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.request, o.route = id, route
}

// lines logs a text, line by line.
func (o *output) lines(level slog.Level, msg, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		if ok, dropped := o.allow(); ok {
			if dropped > 0 {
				o.log.Warn("lines were left out: the script prints too many", "lines", dropped)
			}
			o.log.LogAttrs(context.Background(), level, msg, append(o.origin(), slog.String("text", strings.TrimRight(line, "\r")))...)
		}
	}
}

// origin names the request and its route.
func (o *output) origin() (attrs []slog.Attr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.request != 0 {
		attrs = append(attrs, slog.String("request", fmt.Sprintf("%016x", o.request)))
	}
	if o.route != "" {
		attrs = append(attrs, slog.String("route", o.route))
	}
	return attrs
}

// allow counts a line, and tells whether it may be logged, and how many before
// it were not.
func (o *output) allow() (ok bool, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.allowed = min(linesAtOnce, o.allowed+now.Sub(o.last).Seconds()*linesPerSec)
	o.last = now
	if o.allowed < 1 {
		o.dropped++
		return false, 0
	}
	o.allowed--
	dropped, o.dropped = o.dropped, 0
	return true, dropped
}

// close tells of the lines that were left out at the end.
func (o *output) close() {
	o.mu.Lock()
	dropped := o.dropped
	o.dropped = 0
	o.mu.Unlock()
	if dropped > 0 {
		o.log.Warn("lines were left out: the script prints too many", "lines", dropped)
	}
}

// read logs what the worker writes to its standard output and error, until
// their end.
func (o *output) read(r io.Reader) {
	br := bufio.NewReaderSize(r, maxLogText)
	for {
		line, err := br.ReadSlice('\n') // a longer line comes in pieces
		if len(line) > 0 {
			o.remember(string(line))
			if len(bytes.TrimSpace(line)) > 0 {
				o.lines(slog.LevelInfo, "php", string(line))
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			o.close()
			return
		}
	}
}

func (o *output) remember(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.keep {
		return
	}
	o.tail = append(o.tail, text...)
	if over := len(o.tail) - maxOutputTail; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
}

// forgetTail is called once the worker has booted.
func (o *output) forgetTail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail, o.keep = nil, false
}

// fatalTold is called when the worker itself has said why it failed.
func (o *output) fatalTold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = true
}

// explain adds to the error of a failed boot what the worker printed.
func (o *output) explain(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var text strings.Builder
	for line := range strings.Lines(string(o.tail)) {
		if !o.told || !strings.HasPrefix(line, "PHP Fatal error: ") {
			text.WriteString(line)
		}
	}
	if text := strings.TrimSpace(text.String()); text != "" {
		return fmt.Errorf("%w; it printed:\n%s", err, text)
	}
	return err
}
