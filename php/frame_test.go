package php

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// FuzzFrames feeds arbitrary bytes to the reader of frames.
func FuzzFrames(f *testing.F) {
	frame := func(typ frameType, id uint64, head, body string) []byte {
		h := frameHeader{typ: typ, head: len(head), body: int64(len(body)), id: id}
		p := make([]byte, frameHeaderSize)
		h.put(p)
		return append(p, head+body...)
	}
	f.Add(frame(frameReady, 0, "\x00\x00\x00\x01\x00", "8.2.36"))
	f.Add(append(frame(frameLog, 1, "\x03", "a warning"), frame(frameEnd, 1, "12345678", "a response")...))
	f.Add(frame(frameError, 3, "\x01", "Fatal error: …"))
	f.Add(frame(frameCall, 3, "\x01", "not from a worker"))
	f.Add([]byte("PHP Warning:  something that should be elsewhere"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := frameReader{r: bufio.NewReaderSize(bytes.NewReader(data), 32)}
		var again []byte
		for {
			h, head, err := r.next()
			if err != nil {
				break
			}
			if h.head != len(head) || h.head > maxHead || h.body < 0 {
				t.Fatalf("header %+v with a head of %d bytes", h, len(head))
			}
			p := make([]byte, frameHeaderSize)
			h.put(p)
			again = append(append(again, p...), head...)
			body, err := io.ReadAll(&r)
			again = append(again, body...)
			if err != nil {
				break
			}
			if int64(len(body)) != h.body {
				t.Fatalf("a body of %d bytes, %d were announced", len(body), h.body)
			}
		}
		if !bytes.HasPrefix(data, again) {
			t.Fatalf("%x was read as %x", data, again)
		}
	})
}

func TestFramesOfAnyLength(t *testing.T) {
	const n = 300000
	h := frameHeader{typ: frameEnd, head: 8, body: n, id: 7}
	p := make([]byte, frameHeaderSize+8+n)
	h.put(p)
	r := frameReader{r: bufio.NewReader(bytes.NewReader(append(p, p...)))}
	for range 2 { // the first body is passed over, in part
		if _, _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		io.CopyN(io.Discard, &r, 10)
	}
	if rest, err := io.ReadAll(&r); len(rest) != n-10 || err != nil {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	if _, _, err := r.next(); err != io.ErrUnexpectedEOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestSyntax checks every embedded file with PHP.
func TestSyntax(t *testing.T) {
	files, err := filepath.Glob("arcangelo/*.php")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, f := range files {
		cmd := exec.Command("php", "-l", f)
		cmd.Stderr = os.Stderr
		if out, err := cmd.Output(); err != nil {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
}
