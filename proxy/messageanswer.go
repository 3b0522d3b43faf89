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
	head   bool // the request was a HEAD: its answer has the header alone
	noBody bool // the status has no body
	whole  bool // what was written is all of the answer

	header   http.Header
	reason   string // the status line's code and reason phrase; "": the usual phrase
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

// SetReason implements reasoned.
func (a *messageAnswer) SetReason(status string) { a.reason = status }

// Reset implements answer.
func (a *messageAnswer) Reset() bool {
	a.out.Reset()
	clear(a.header)
	a.status, a.reason, a.whole, a.noBody, a.err = 0, "", false, false, nil
	return true
}

// verbatim hands out the message itself, for an origin whose answer is all of
// it.
func (a *messageAnswer) verbatim() *megaki.ResponseWriter {
	a.status, a.whole = http.StatusOK, true
	return a.out
}

// statusOfWhole is the status that an answer has if it is an HTTP response, as
// one that a script wrote by itself may be.
func statusOfWhole(answer []byte) int {
	const version = len("HTTP/1.1 ")
	if len(answer) < version+3 || string(answer[:5]) != "HTTP/" {
		return http.StatusOK
	}
	status, err := strconv.Atoi(string(answer[version : version+3]))
	if err != nil || status < 100 {
		return http.StatusOK
	}
	return status
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
	a.noBody = !bodyAllowed(status)
	a.err = a.writeHead()
}

// maxGrown is how much room is made for a body before it comes, in bytes.
const maxGrown = 1 << 20

func (a *messageAnswer) writeHead() error {
	w := headWriter{ResponseWriter: a.out}
	fmt.Fprintf(&w, "HTTP/1.1 %03d %s\r\n", a.status, a.reasonPhrase())
	a.declared = -1
	if n, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		a.declared = n
	}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer" {
			continue
		}
		for _, value := range a.header[name] {
			w.field(name, value)
		}
	}
	a.length = 0
	switch {
	case a.status == http.StatusNoContent:
	case a.declared >= 0:
		w.field("Content-Length", strconv.FormatInt(a.declared, 10))
	case !a.noBody && !a.head:
		w.string("Content-Length: ")
		a.length = w.Len()
		w.string(lengthPlace + "\r\n")
	}
	w.string("\r\n")
	a.start = w.Len()
	if w.err != nil || a.noBody || a.head {
		return w.err
	}
	if room := int64(w.Limit() - w.Len()); a.declared > room {
		return &megaki.TooLongError{Length: int64(w.Len()) + a.declared, Limit: w.Limit()}
	}
	return a.out.Grow(int(min(max(a.declared, 0), maxGrown)))
}

// reasonPhrase returns the phrase that was set for the status, or else the usual
// one.
func (a *messageAnswer) reasonPhrase() string {
	code, phrase, _ := strings.Cut(a.reason, " ")
	if code != strconv.Itoa(a.status) || strings.ContainsAny(phrase, "\r\n\x00") {
		return http.StatusText(a.status)
	}
	return phrase
}

// headWriter writes a head, and keeps the first error: what doesn't fit must not
// leave a head that looks whole.
type headWriter struct {
	*megaki.ResponseWriter
	err error
}

// Write implements io.Writer.
func (w *headWriter) Write(p []byte) (int, error) {
	if w.err == nil {
		_, w.err = w.ResponseWriter.Write(p)
	}
	return len(p), w.err
}

func (w *headWriter) string(s string) {
	if w.err == nil {
		_, w.err = w.ResponseWriter.WriteString(s)
	}
}

// field writes a header field. Line ends in a value can't begin another.
func (w *headWriter) field(name, value string) {
	w.string(name)
	w.string(": ")
	if strings.ContainsAny(value, "\r\n\x00") {
		value = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(value)
	}
	w.string(value)
	w.string("\r\n")
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
	if a.head {
		return len(p), nil
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
	if a.head {
		return io.Copy(io.Discard, r)
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
	if a.whole && !a.raw {
		a.status = statusOfWhole(a.out.Bytes())
	}
	switch n := int64(a.out.Len() - a.start); {
	case a.err != nil:
		return a.err
	case a.raw, a.whole, a.noBody, a.head:
	case a.declared >= 0 && n != a.declared:
		return fmt.Errorf("the answer has %d bytes, but its Content-Length is %d", n, a.declared)
	case a.length > 0:
		copy(a.out.Bytes()[a.length:], strconv.FormatInt(n, 10))
	}
	return nil
}
