package proxy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mkd/megaki"
)

// messageAnswer is an answer that goes back in a Megaki message. It fills the
// message in place, so nothing leaves before all is there, and what fails in
// the middle is no answer at all.
type messageAnswer struct {
	out    *megaki.ResponseWriter
	raw    bool // of a response only the body of a 2xx goes back
	noBody bool // the request was a HEAD, or the status has none
	whole  bool // what was written is all of the answer

	header   http.Header
	change   func(http.Header)
	status   int
	declared int64 // the body's length as the header says, -1 if it doesn't
	length   int   // where the length belongs in the message, if the header doesn't say it
	start    int   // where the body begins
	err      error // of a Write that the handler may not have looked at
}

var _ io.ReaderFrom = (*messageAnswer)(nil)

func newMessageAnswer(out *megaki.ResponseWriter, raw bool) *messageAnswer {
	return &messageAnswer{out: out, raw: raw, header: make(http.Header)}
}

// Header implements http.ResponseWriter.
func (a *messageAnswer) Header() http.Header { return a.header }

// Status implements answer.
func (a *messageAnswer) Status() int { return a.status }

// Size implements answer.
func (a *messageAnswer) Size() int64 { return int64(a.out.Len()) }

// ChangeHeader implements answer.
func (a *messageAnswer) ChangeHeader(f func(http.Header)) { a.change = f }

// Reset implements answer.
func (a *messageAnswer) Reset() bool {
	a.out.Reset()
	clear(a.header)
	a.status, a.whole, a.err = 0, false, nil
	return true
}

// verbatim hands out the message itself, for an origin whose answer is all of
// it.
func (a *messageAnswer) verbatim() *megaki.ResponseWriter {
	a.status, a.whole = http.StatusOK, true
	return a.out
}

// lengthPlace is what Content-Length is written over: as many blanks as the
// longest message has digits. Blanks before a value don't count (RFC 9112,
// section 5).
const lengthPlace = "        "

// WriteHeader implements http.ResponseWriter. A status below 200 can't go into
// a message, and is dropped.
func (a *messageAnswer) WriteHeader(status int) {
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	if a.change != nil {
		a.change(a.header)
	}
	if a.raw {
		if status > 299 {
			a.err = fmt.Errorf("the answer to a raw message has the status %d", status)
		}
		a.declared = -1
		return
	}
	a.noBody = a.noBody || !bodyAllowed(status)
	a.err = a.writeHead()
}

func (a *messageAnswer) writeHead() error {
	w := a.out
	fmt.Fprintf(w, "HTTP/1.1 %03d %s\r\n", a.status, http.StatusText(a.status))
	a.declared = -1
	if n, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		a.declared = n
		if !a.noBody && n > int64(w.Limit()) {
			return &megaki.TooLongError{Length: n, Limit: w.Limit()}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, value := range a.header[name] {
			writeField(w, name, value)
		}
	}
	a.length = 0
	switch {
	case a.status == http.StatusNoContent:
	case a.declared >= 0:
		writeField(w, "Content-Length", strconv.FormatInt(a.declared, 10))
	case !a.noBody:
		w.WriteString("Content-Length: ")
		a.length = w.Len()
		w.WriteString(lengthPlace + "\r\n")
	}
	_, err := w.WriteString("\r\n") // tells the error of those before, too: the limit
	a.start = w.Len()
	return err
}

// writeField writes a header field. Line ends in a value can't begin another.
func writeField(w *megaki.ResponseWriter, name, value string) {
	w.WriteString(name)
	w.WriteString(": ")
	if strings.ContainsAny(value, "\r\n\x00") {
		value = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(value)
	}
	w.WriteString(value)
	w.WriteString("\r\n")
}

// ready reports whether a body can be written now.
func (a *messageAnswer) ready() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.err == nil && a.noBody {
		return http.ErrBodyNotAllowed
	}
	return a.err
}

// Write implements http.ResponseWriter.
func (a *messageAnswer) Write(p []byte) (int, error) {
	if err := a.ready(); err != nil {
		return 0, err
	}
	n, err := a.out.Write(p)
	a.err = err
	return n, err
}

// ReadFrom reads a body straight into the message.
func (a *messageAnswer) ReadFrom(r io.Reader) (int64, error) {
	if err := a.ready(); err != nil {
		return 0, err
	}
	n, err := a.out.ReadFrom(r)
	if long := (*megaki.TooLongError)(nil); errors.As(err, &long) || errors.Is(err, megaki.ErrMemory) {
		a.err = err
	}
	return n, err
}

// Finish implements answer.
func (a *messageAnswer) Finish() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch n := int64(a.out.Len() - a.start); {
	case a.err != nil:
		return a.err
	case a.raw, a.whole, a.noBody:
	case a.declared >= 0 && n != a.declared:
		return fmt.Errorf("the answer has %d bytes, but its Content-Length is %d", n, a.declared)
	case a.length > 0:
		copy(a.out.Bytes()[a.length:], strconv.FormatInt(n, 10))
	}
	return nil
}
