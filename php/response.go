package php

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ResponseWriter receives the response to an HTTPCall.
type ResponseWriter interface {
	// EarlyHints is called for each early hint (status 103), before Head. header
	// is like that of Head.
	EarlyHints(header http.Header) error
	// Head is called once, before Write and Flush. status is 200 to 599. header
	// may be kept; no field of it concerns the connection or the length of the
	// body, and no value has a control character. length is the length of the
	// body in bytes, -1 if it isn't known; if the response has no body (to HEAD,
	// with 204 or 304), it is the length that a body would have.
	Head(status int, header http.Header, length int64) error
	// Write writes a part of the body.
	io.Writer
	// Flush is called after a part that shouldn't wait for the next one.
	Flush() error
}

// Bounds of the header of a response.
const (
	maxResponseHeader = 64 << 10 // bytes of names and values
	maxResponseFields = 256
)

// unknownLength in a HEAD means that the length of the body isn't known.
const unknownLength = 1<<64 - 1

// receiver receives the response to one call.
type receiver struct {
	raw      io.Writer      // of a Call
	http     ResponseWriter // of an HTTPCall
	bodiless bool           // an HTTP response has no body, whatever length its header has
	pipe     *pipe          // of the worker
	timeout  time.Duration  // that the worker has for a part of an HTTP response

	worker  int   // the process that has the call
	begun   bool  // a HEAD came
	left    int64 // bytes of the body that are due; -1: not known
	excess  bool  // more came than were due
	refused error // why the writer refused a part; the rest is dropped
	gone    bool  // GONE was sent: the worker knows that the rest is dropped
	worksOn bool  // the response is complete, and the worker works on
}

// head receives a HEAD frame. It returns an error if the worker is to blame.
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
	if f.left > maxResponseHeader {
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

// due returns how many of the n bytes of a part belong to the body. Bytes beyond
// the length that the HEAD announced don't. A body that is shorter is an error.
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
	case last && n < r.left && !r.gone: // after GONE a worker may stop early
		return 0, fmt.Errorf("%w: the body is shorter than the head announced", errFrame)
	}
	if n > r.left {
		n, r.excess = r.left, true
	}
	r.left -= n
	return n, nil
}

// refuse records why the writer refused a part.
func (r *receiver) refuse(err error) {
	if r.refused == nil {
		r.refused = err
	}
}

// unwanted reports whether the rest of the response is dropped.
func (r *receiver) unwanted() bool { return r.refused != nil || r.excess }

// writer returns where the body goes.
func (r *receiver) writer() io.Writer {
	switch {
	case r.refused != nil:
		return io.Discard
	case r.http != nil:
		return r
	}
	return r.raw
}

// Write writes a part of the body. The time that it takes doesn't count as the
// worker's.
func (r *receiver) Write(p []byte) (int, error) {
	n, err := r.http.Write(p)
	if err == nil {
		r.moved()
	}
	return n, err
}

// moved gives the worker time for the next part of an HTTP response, unless the
// rest is dropped.
func (r *receiver) moved() {
	if r.http != nil && r.refused == nil {
		r.pipe.extend(time.Now().Add(r.timeout))
	}
}

// flush flushes what was written.
func (r *receiver) flush() {
	if r.http != nil && r.refused == nil {
		r.refused = r.http.Flush()
	}
}
