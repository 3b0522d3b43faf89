package fastcgi

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestRecordHeaders(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		want       recordHeader
		wrong      bool
	}{
		{"STDOUT", "\x01\x06\x00\x01\x01\x02\x03\x00", recordHeader{typeStdout, 0x102, 3}, false},
		{"the longest", "\x01\x06\x00\x01\xff\xff\xff\x00", recordHeader{typeStdout, 65535, 255}, false},
		{"STDERR", "\x01\x07\x00\x01\x00\x00\x00\x00", recordHeader{typeStderr, 0, 0}, false},
		{"END_REQUEST", "\x01\x03\x00\x01\x00\x08\x00\x00", recordHeader{typeEnd, 8, 0}, false},
		{"reserved byte set", "\x01\x06\x00\x01\x00\x00\x00\x09", recordHeader{typeStdout, 0, 0}, false},
		{"version 0", "\x00\x06\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"version 2", "\x02\x06\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"id 0", "\x01\x06\x00\x00\x00\x00\x00\x00", recordHeader{}, true},
		{"id 2", "\x01\x06\x00\x02\x00\x00\x00\x00", recordHeader{}, true},
		{"id 257", "\x01\x06\x01\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"END_REQUEST of 7", "\x01\x03\x00\x01\x00\x07\x00\x00", recordHeader{}, true},
		{"END_REQUEST of 9", "\x01\x03\x00\x01\x00\x09\x00\x00", recordHeader{}, true},
		{"BEGIN_REQUEST", "\x01\x01\x00\x01\x00\x08\x00\x00", recordHeader{}, true},
		{"ABORT_REQUEST", "\x01\x02\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"PARAMS", "\x01\x04\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"STDIN", "\x01\x05\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"DATA", "\x01\x08\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"GET_VALUES_RESULT", "\x01\x0a\x00\x00\x00\x00\x00\x00", recordHeader{}, true},
		{"UNKNOWN_TYPE", "\x01\x0b\x00\x01\x00\x08\x00\x00", recordHeader{}, true},
		{"type 0", "\x01\x00\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
		{"type 255", "\x01\xff\x00\x01\x00\x00\x00\x00", recordHeader{}, true},
	} {
		h, err := parseHeader([]byte(c.wire))
		if c.wrong {
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		if err != nil || h != c.want {
			t.Errorf("%s: %+v, %v", c.name, h, err)
		}
	}
}

func TestBegin(t *testing.T) {
	if got := string(appendBegin(nil, false)); got != "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00" {
		t.Errorf("%q", got)
	}
	if got := string(appendBegin([]byte("x"), true)); got != "x\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00" {
		t.Errorf("%q", got)
	}
}

// TestRecordsByteByByte reads records that come in every way, with padding,
// empty and interleaved.
func TestRecordsByteByByte(t *testing.T) {
	wire := record(1, 6, 1, "one ", 5) + record(1, 7, 1, "warning", 255) + record(1, 7, 1, "", 0) +
		record(1, 6, 1, "two", 1) + record(1, 6, 1, "", 8) + record(1, 3, 1, "\x00\x00\x00\x07\x00abc", 3)
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(wire),
		"bytes":   iotest.OneByteReader(strings.NewReader(wire)),
		"halves":  iotest.HalfReader(strings.NewReader(wire)),
	} {
		recs := recordReader{br: bufio.NewReaderSize(r, 16)}
		got := map[recordType]string{}
		var err error
		for {
			var typ recordType
			if typ, err = recs.next(); err != nil {
				break
			}
			p, err := recs.peek()
			if err != nil {
				t.Fatal(err)
			}
			got[typ] += string(p)
			recs.discard(len(p))
		}
		if err != io.EOF || got[typeStdout] != "one two" || got[typeStderr] != "warning" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
