package process

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFloodOfLines: a process logs 200 lines at once and then 100 a second; the
// log counts the others.
func TestFloodOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := NewOutput("prog", slog.New(slog.NewTextHandler(&log, nil)), nil)
		o.read(strings.NewReader(strings.Repeat("a line\n", 1000)))
		if n := strings.Count(log.String(), `text="a line"`); n != lineBurst {
			t.Errorf("%d lines were logged, want %d", n, lineBurst)
		}
		if want := `msg="lines dropped: prog prints too many" lines=800`; !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
		time.Sleep(time.Second)
		log.Reset()
		o.read(strings.NewReader(strings.Repeat("a line\n", 1000)))
		if n := strings.Count(log.String(), `text="a line"`); n != linesPerSecond {
			t.Errorf("after a second %d lines were logged, want %d", n, linesPerSecond)
		}
	})
}

// TestLevels: PHP's own messages have their level, and blank lines are left out.
func TestLevels(t *testing.T) {
	var log bytes.Buffer
	o := NewOutput("prog", slog.New(slog.NewTextHandler(&log, nil)), nil)
	o.read(strings.NewReader("plain\n\nPHP Warning:  odd\nPHP Fatal error:  wrong\nWarning: this\n"))
	o.Write(slog.LevelError, "first\n\nsecond\n\n")
	var got []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(line, "level=")
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`INFO msg=prog text=plain`, `WARN msg=prog text="PHP Warning:  odd"`, `ERROR msg=prog text="PHP Fatal error:  wrong"`,
		`WARN msg=prog text="Warning: this"`, `ERROR msg=prog text=first`, `ERROR msg=prog text=second`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestTail keeps the end of what was printed, until it is forgotten.
func TestTail(t *testing.T) {
	o := NewOutput("prog", slog.New(slog.DiscardHandler), nil)
	o.read(strings.NewReader(strings.Repeat("x", 2*MaxLine) + "\n\nthe last words"))
	if tail := o.Tail(); len(tail) != maxTail || !strings.HasSuffix(tail, "x\nthe last words\n") {
		t.Errorf("%d bytes: …%q", len(tail), tail[max(0, len(tail)-30):])
	}
	o.ForgetTail()
	o.Write(slog.LevelInfo, "more")
	if tail := o.Tail(); tail != "" {
		t.Errorf("after ForgetTail: %q", tail)
	}
}

// TestDroppedLinesAreCountedOnce: the log has the number of dropped lines as soon as
// another line is logged, and each of them counts once.
func TestDroppedLinesAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := NewOutput("prog", slog.New(slog.NewTextHandler(&log, nil)), nil)
		for _, extra := range []int{3, 5} {
			time.Sleep(time.Hour) // the whole burst is allowed again, and no more
			log.Reset()
			for range lineBurst + extra {
				o.Write(slog.LevelInfo, "a line")
			}
			time.Sleep(time.Second)
			o.Write(slog.LevelInfo, "the last line")
			o.Write(slog.LevelInfo, "the last line")
			if want := fmt.Sprintf("lines=%d\n", extra); strings.Count(log.String(), "lines dropped") != 1 || !strings.Contains(log.String(), want) {
				t.Errorf("after %d dropped lines the log ends with …%s", extra, log.String()[max(0, log.Len()-400):])
			}
		}
		log.Reset()
		o.read(strings.NewReader(strings.Repeat("a line\n", 1000)))
		o.read(strings.NewReader("\n"))
		if n := strings.Count(log.String(), "lines dropped"); n != 1 {
			t.Errorf("the dropped lines were logged %d times", n)
		}
	})
}

// TestLongLine: a line without an end is logged in pieces.
func TestLongLine(t *testing.T) {
	var log bytes.Buffer
	o := NewOutput("prog", slog.New(slog.NewTextHandler(&log, nil)), nil)
	o.read(strings.NewReader(strings.Repeat("x", 8192) + strings.Repeat("y", 100) + "\nnext\n"))
	var lengths []int
	for line := range strings.Lines(log.String()) {
		_, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "text=")
		lengths = append(lengths, len(text))
	}
	if want := []int{8192, 100, 4}; !slices.Equal(lengths, want) {
		t.Errorf("pieces of %v bytes, want %v", lengths, want)
	}
}
