package php

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// frameText returns a frame of the current request.
func frameText(typ frameType, head, body string) string {
	p := make([]byte, frameHeaderSize)
	(&frameHeader{typ: typ, head: len(head), body: int64(len(body))}).put(p)
	return string(p[:8]) + "<request>" + head + body
}

// headOf returns the head of a HEAD frame.
func headOf(status int, length uint64) string {
	return string(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(nil, uint16(status)), length))
}

// TestWorkersThatLie: an invalid HTTP response ends the worker, and only its client
// gets an error.
func TestWorkersThatLie(t *testing.T) {
	const memory = "\x00\x00\x00\x00\x00\x10\x00\x00"
	head := frameText(frameHead, headOf(200, unknownLength), "")
	end := frameText(frameEnd, memory, "")
	three := frameText(frameHead, headOf(200, 3), "")
	for name, frames := range map[string]string{
		"no head":             end,
		"a part before":       frameText(framePart, "", "x") + head + end,
		"two heads":           head + head + end,
		"status 0":            frameText(frameHead, headOf(0, 0), "") + end,
		"status 100":          frameText(frameHead, headOf(100, 0), "") + end,
		"status 102":          frameText(frameHead, headOf(102, 0), "") + end,
		"only a hint":         frameText(frameHead, headOf(103, 0), "") + end,
		"a hint after a head": three + frameText(frameHead, headOf(103, 0), "") + frameText(frameEnd, memory, "abc"),
		"status 600":          frameText(frameHead, headOf(600, 0), "") + end,
		"a negative length":   frameText(frameHead, headOf(200, 1<<63), "") + end,
		"a short head":        frameText(frameHead, "\x00\xc8", "") + end,
		"too short":           three + frameText(framePart, "", "ab") + end,
		"body with 204":       frameText(frameHead, headOf(204, unknownLength), "") + frameText(frameEnd, memory, "x"),
		"split":               frameText(frameHead, headOf(200, 0), "X\x00a\r\nY: b\x00") + end,
		"a name with a colon": frameText(frameHead, headOf(200, 0), "X:\x00a\x00") + end,
		"no name":             frameText(frameHead, headOf(200, 0), "\x00a\x00") + end,
		"a name alone":        frameText(frameHead, headOf(200, 0), "X\x00") + end,
		"no NUL at the end":   frameText(frameHead, headOf(200, 0), "X\x00a\x00Y") + end,
		"a large header":      frameText(frameHead, headOf(200, 0), "X\x00"+strings.Repeat("a", maxResponseHeader)+"\x00") + end,
		"many fields":         frameText(frameHead, headOf(200, 0), strings.Repeat("X\x00\x00", maxResponseFields+1)) + end,
		"the frame of a call": frameText(frameHTTP, "", ""),
		"an unnamed error":    frameText(frameError, "", "x"),
		"an unnamed log":      frameText(frameLog, "", "x") + head + end,
		"a READY":             frameText(frameReady, "\x00\x00\x00\x01\x00", "x") + head + end,
		"a PONG":              frameText(framePong, "", "") + head + end,
		"an END of 7 bytes":   head + frameText(frameEnd, memory[:7], ""),
		"a HEAD of 9 bytes":   frameText(frameHead, headOf(200, 0)[:9], "") + end,
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := start(t, Options{PHP: os.Args[0], Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1,
				Env: map[string]string{"FAKE_WORKER": "frames " + url.QueryEscape(frames)}})
			var broken *WorkerError
			if w, err := doHTTP(p, httpCall("GET", "/", nil, "")); !errors.As(err, &broken) {
				t.Errorf("error %v, %+v", err, w)
			}
		})
	}
	p, _ := start(t, Options{PHP: os.Args[0], Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1,
		Env: map[string]string{"FAKE_WORKER": "frames " + url.QueryEscape(three+frameText(framePart, "\x01", "ab")+frameText(frameEnd, memory, "c"))}})
	for range 3 {
		if w := get(t, p, "/"); w.body.String() != "abc" || w.length != 3 || w.flushes != 1 {
			t.Errorf("%+v", w)
		}
	}
	for name, frames := range map[string]string{
		"at once":  three + frameText(frameEnd, memory, "abcd"),
		"in parts": three + frameText(framePart, "", "ab") + frameText(framePart, "", "cd") + frameText(framePart, "", "ef") + end,
	} {
		p, log := start(t, Options{PHP: os.Args[0], Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1,
			Env: map[string]string{"FAKE_WORKER": "frames " + url.QueryEscape(frames)}})
		if w := get(t, p, "/"); w.body.String() != "abc" || w.length != 3 {
			t.Errorf("too long, %s: %+v", name, w)
		}
		if n := strings.Count(log.String(), "longer than its Content-Length"); n != 1 {
			t.Errorf("too long, %s: %d warnings", name, n)
		}
	}
	// A raw message has no HEAD.
	var broken *WorkerError
	if _, err := do(p, "x"); !errors.As(err, &broken) {
		t.Errorf("a HEAD for a raw message: %v", err)
	}
}

// FuzzParseFields: a field that a worker writes can't become two.
func FuzzParseFields(f *testing.F) {
	f.Add("Content-Type\x00text/plain\x00Set-Cookie\x00a=b\x00set-cookie\x00c=d\x00")
	f.Add("X\x00a\r\nY: b\x00")
	f.Add("X\x00\x00")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseFields(text)
		if err != nil {
			return
		}
		var b bytes.Buffer
		h.Write(&b)
		n := 0
		for _, values := range h {
			n += len(values)
		}
		if got := strings.Count(b.String(), "\n"); got != n {
			t.Errorf("%d values are %d lines", n, got)
		}
	})
}

// TestTimeOfParts: the worker has its time anew after the header of an HTTP response, and
// after each part that the client takes. It hasn't for a raw message, or once the client
// refuses the rest.
func TestTimeOfParts(t *testing.T) {
	end := frameText(frameEnd, "\x00\x00\x00\x00\x00\x00\x00\x00", "")
	part := frameText(framePart, "", "x")
	head := frameText(frameHead, headOf(200, unknownLength), "")
	for _, c := range []struct {
		name, frames string
		resp         receiver
		anew         bool
	}{
		{"a header", head + end, receiver{http: new(recorder)}, true},
		{"a part", part + end, receiver{http: new(recorder), begun: true, left: -1}, true},
		{"a refused header", head + end, receiver{http: &recorder{decline: errors.New("no")}, gone: true}, false},
		{"a refused part", part + end, receiver{http: &recorder{refuse: errors.New("no")}, begun: true, left: -1, gone: true}, false},
		{"a raw message", part + end, receiver{raw: io.Discard}, false},
	} {
		soon := time.Now().Add(time.Minute)
		c.resp.pipe, c.resp.timeout = &pipe{ctx: t.Context(), deadline: soon}, time.Hour
		w := &worker{frames: frameReader{r: bufio.NewReader(strings.NewReader(strings.ReplaceAll(c.frames, "<request>", "\x00\x00\x00\x00\x00\x00\x00\x07")))}}
		if how, err := w.receive(7, &c.resp, nil); how != keep || err != c.resp.refused {
			t.Errorf("%s: %v, %v", c.name, how, err)
		}
		if anew := c.resp.pipe.deadline.After(soon); anew != c.anew {
			t.Errorf("%s: the time begins anew: %t", c.name, anew)
		}
	}
}
