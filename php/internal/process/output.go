package process

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

// Bounds of what one process writes to the log.
const (
	MaxLine        = 8 << 10 // bytes; a longer line is logged in pieces
	linesPerSecond = 100
	lineBurst      = 200
	maxTail        = 2 << 10 // bytes that are kept to explain a failed start
)

// Output logs what a process prints. It drops lines beyond 100 a second, and
// logs how many.
type Output struct {
	program string
	log     *slog.Logger
	attrs   func() []slog.Attr

	mu      sync.Mutex
	allowed float64 // lines
	last    time.Time
	dropped int
	tail    []byte // the end of what was printed, until ForgetTail
	forget  bool
}

// NewOutput returns the output of a process of a program, whose name is the
// message of its lines. attrs, if not nil, returns further attributes of a line.
func NewOutput(program string, log *slog.Logger, attrs func() []slog.Attr) *Output {
	if attrs == nil {
		attrs = func() []slog.Attr { return nil }
	}
	return &Output{program: program, log: log, attrs: attrs, allowed: lineBurst, last: time.Now()}
}

// Log returns the log with the number of the process, once that is started.
func (o *Output) Log() *slog.Logger { return o.log }

// Write logs a text line by line, without blank lines, and appends it to the tail.
func (o *Output) Write(level slog.Level, text string) {
	o.remember(text)
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		ok, dropped := o.allow()
		if !ok {
			continue
		}
		o.logDropped(dropped)
		o.log.LogAttrs(context.Background(), level, o.program, append(o.attrs(), slog.String("text", strings.TrimRight(line, "\r")))...)
	}
}

// levelOf returns the level of a line that a process prints: PHP's own messages begin
// with theirs.
func levelOf(line []byte) slog.Level {
	kind, _, _ := strings.Cut(string(line[:min(len(line), 40)]), ":")
	switch strings.TrimPrefix(kind, "PHP ") {
	case "Warning":
		return slog.LevelWarn
	case "Fatal error", "Parse error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// allow counts a line, and returns whether it may be logged and how many were
// dropped before it.
func (o *Output) allow() (ok bool, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.allowed = min(lineBurst, o.allowed+now.Sub(o.last).Seconds()*linesPerSecond)
	o.last = now
	if o.allowed < 1 {
		o.dropped++
		return false, 0
	}
	o.allowed--
	dropped, o.dropped = o.dropped, 0
	return true, dropped
}

func (o *Output) logDropped(n int) {
	if n > 0 {
		o.log.Warn("lines dropped: "+o.program+" prints too many", "lines", n)
	}
}

// read logs what comes from r until its end.
func (o *Output) read(r io.Reader) {
	br := bufio.NewReaderSize(r, MaxLine)
	for {
		line, err := br.ReadSlice('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			o.Write(levelOf(line), string(line))
		}
		if err != nil && err != bufio.ErrBufferFull {
			break
		}
	}
	o.mu.Lock()
	dropped := o.dropped
	o.dropped = 0
	o.mu.Unlock()
	o.logDropped(dropped)
}

// remember appends a text, and a line's end if it has none, to the tail.
func (o *Output) remember(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.forget {
		return
	}
	o.tail = append(o.tail, text...)
	if !strings.HasSuffix(text, "\n") {
		o.tail = append(o.tail, '\n')
	}
	if over := len(o.tail) - maxTail; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
}

// Tail returns the last 2 KiB that were printed.
func (o *Output) Tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.tail)
}

// ForgetTail drops the tail for good: the process has started.
func (o *Output) ForgetTail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail, o.forget = nil, true
}
