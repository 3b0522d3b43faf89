package php

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// HTTPAnswer takes the answer to an HTTPCall.
type HTTPAnswer interface {
	// EarlyHints is called for each early hint (status 103), before Head. header
	// is like that of Head.
	EarlyHints(header http.Header) error
	// Head is called once, before Write and Flush. status is 200 to 599. header
	// is the receiver's to keep; no field of it concerns the connection or the
	// body's length, and no value has a control character. length is the
	// body's length in bytes, -1 if it isn't known; if the answer has no body
	// (to HEAD, with 204 or 304), it is the length that a body would have.
	Head(status int, header http.Header, length int64) error
	// Write takes a part of the body.
	io.Writer
	// Flush is called after a part that shouldn't wait for the next one.
	Flush() error
}

// Bounds of the header of an answer.
const (
	maxAnswerHeader = 64 << 10 // bytes of names and values
	maxAnswerFields = 256
)

// unknownLength in a HEAD says that nobody knows how long the body will be.
const unknownLength = 1<<64 - 1

// receiver takes what a worker responds to one call.
type receiver struct {
	raw      io.Writer  // of a Call
	http     HTTPAnswer // of an HTTPCall
	bodiless bool       // an HTTP response has no body, whatever its header says of the length
	extend   func()     // gives the worker the time for the next part

	begun   bool  // a HEAD came
	left    int64 // bytes of the body that are due; -1: not known
	excess  bool  // more came than were due
	refused error // by the writer: the rest is dropped
	gone    bool  // the worker knows that the rest is dropped
}

// head takes a HEAD frame. It returns an error if the worker is to blame.
func (r *receiver) head(head []byte, f *frameReader) error {
	if r.http == nil || r.begun {
		return fmt.Errorf("%w: type %02x during a request", errFrame, byte(frameHead))
	}
	status := int(binary.BigEndian.Uint16(head))
	if (status < 200 || status > 599) && status != http.StatusEarlyHints {
		return fmt.Errorf("%w: status %d", errFrame, status)
	}
	length := int64(-1)
	if n := binary.BigEndian.Uint64(head[2:]); n != unknownLength {
		if length = int64(n); length < 0 {
			return fmt.Errorf("%w: a response of %d bytes", errFrame, n)
		}
	}
	if f.left > maxAnswerHeader {
		return fmt.Errorf("%w: a header of %d bytes", errFrame, f.left)
	}
	text := make([]byte, f.left)
	if _, err := io.ReadFull(f, text); err != nil {
		return f.fail(err)
	}
	header, err := parseFields(string(text))
	if err != nil {
		return err
	}
	if status == http.StatusEarlyHints {
		if r.refused == nil {
			r.refused = r.http.EarlyHints(header)
		}
		return nil
	}
	r.begun, r.left = true, length
	if status == http.StatusNoContent || status == http.StatusNotModified {
		r.bodiless = true
	}
	if r.bodiless {
		r.left = 0
	}
	if r.refused == nil {
		r.refused = r.http.Head(status, header, length)
	}
	return nil
}

// due returns how many of the n bytes of a part belong to the body. What comes
// beyond the length that the HEAD announced doesn't. A body that ends before is
// an error.
func (r *receiver) due(n int64, last bool) (int64, error) {
	switch {
	case r.http == nil:
		return n, nil
	case !r.begun:
		return 0, fmt.Errorf("%w: a body without a head", errFrame)
	case r.bodiless && n > 0:
		return 0, fmt.Errorf("%w: a body where there is none", errFrame)
	case r.left < 0:
		return n, nil
	case last && n < r.left && !r.gone: // one that knows that nobody takes it may stop early
		return 0, fmt.Errorf("%w: the body is shorter than the head announced", errFrame)
	}
	if n > r.left {
		n, r.excess = r.left, true
	}
	r.left -= n
	return n, nil
}

// refuse notes why the writer took no more.
func (r *receiver) refuse(err error) {
	if r.refused == nil {
		r.refused = err
	}
}

// unwanted reports whether the rest of the response is dropped.
func (r *receiver) unwanted() bool { return r.refused != nil || r.excess }

// writer is where the body goes.
func (r *receiver) writer() io.Writer {
	switch {
	case r.refused != nil:
		return io.Discard
	case r.http != nil:
		return r
	}
	return r.raw
}

// Write hands a part of the body on. The time that it takes isn't the worker's.
func (r *receiver) Write(p []byte) (int, error) {
	n, err := r.http.Write(p)
	if err == nil {
		r.moved()
	}
	return n, err
}

// moved gives the worker the time for the next part of an HTTP answer. There is
// no more time for one that nobody takes.
func (r *receiver) moved() {
	if r.http != nil && r.refused == nil {
		r.extend()
	}
}

// flush hands on what was written.
func (r *receiver) flush() {
	if r.http != nil && r.refused == nil {
		r.refused = r.http.Flush()
	}
}

// notOurs are fields that the connection decides on (RFC 9110, section 7.6.1),
// and the length, which the frame has. They don't leave the worker.
var notOurs = [...]string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// parseFields reads the fields of a header: names and values, each ended by a
// NUL.
func parseFields(text string) (http.Header, error) {
	n := strings.Count(text, "\x00")
	if n%2 != 0 || n > 2*maxAnswerFields || text != "" && text[len(text)-1] != 0 {
		return nil, fmt.Errorf("%w: a header of %d names and values", errFrame, n)
	}
	header := make(http.Header, n/2)
	values := make([]string, n/2) // of all fields, in one piece
	for text != "" {
		var name, value string
		name, text, _ = strings.Cut(text, "\x00")
		value, text, _ = strings.Cut(text, "\x00")
		if !isFieldName(name) {
			return nil, fmt.Errorf("%w: a field's name %q", errFrame, name)
		}
		if !printable(value) {
			return nil, fmt.Errorf("%w: a control character in the field %s", errFrame, name)
		}
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(notOurs[:], name) {
			continue
		}
		if header[name] == nil {
			header[name], values = values[:1:1], values[1:]
			header[name][0] = value
			continue
		}
		header[name] = append(header[name], value)
	}
	return header, nil
}

// isFieldName tells whether a text may be a field's name (RFC 9110, section 5.6.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if !isToken(s[i]) {
			return false
		}
	}
	return s != ""
}

func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// printable tells whether a text has no control character but tabs.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
