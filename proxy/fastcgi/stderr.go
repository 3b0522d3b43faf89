package fastcgi

import (
	"bytes"
	"fmt"
)

// Bounds of a request's error output.
const (
	maxLine   = 4 << 10   // bytes
	maxStderr = 256 << 10 // bytes
	maxLines  = 1000      // each of which is a line of the log
)

// lines hands on the error output of a request line by line.
type lines struct {
	f       func(line string)
	part    []byte // of a line whose end hasn't come
	passed  int    // bytes handed on
	lines   int    // handed on
	dropped int    // bytes left out
}

func (l *lines) write(p []byte) {
	if l.f == nil {
		return
	}
	for len(p) > 0 {
		end, whole := bytes.IndexByte(p, '\n'), true
		if end < 0 {
			end, whole = len(p), false
		}
		n := min(end, maxLine-len(l.part))
		l.part = append(l.part, p[:n]...)
		switch p = p[n:]; {
		case n < end:
			l.flush() // a piece of a long line
		case whole:
			p = p[1:]
			l.flush()
		}
	}
}

func (l *lines) flush() {
	line := bytes.TrimRight(l.part, "\r")
	if l.passed+len(line) > maxStderr || l.lines == maxLines {
		l.dropped += len(line)
	} else if len(line) > 0 {
		l.passed += len(line)
		l.lines++
		l.f(string(line))
	}
	l.part = l.part[:0]
}

// close hands on what is left when the request is over.
func (l *lines) close() {
	if l.f == nil {
		return
	}
	l.flush()
	if l.dropped > 0 {
		l.f(fmt.Sprintf("%d bytes more of error output were left out", l.dropped))
	}
}
