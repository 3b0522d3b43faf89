package process

import (
	"bytes"
	"log/slog"
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
