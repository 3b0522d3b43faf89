package listener

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mkd/megaki"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// message is a response that goes back in a Megaki message. It fills the message
// in place, so nothing is sent before all of it is there, and what fails on the
// way is no response at all.
type message struct {
	out    *megaki.ResponseWriter
	raw    bool // of a response only the body of a 2xx is sent
	head   bool // the request was a HEAD: its response has the header alone
	noBody bool // the status has no body
	whole  bool // what was written is the whole message, head included

	header   httpmsg.ReusedHeader
	names    []string // of the header, sorted
	reason   string   // the status line's code and reason phrase; "": the usual phrase
	change   func(http.Header)
	status   int
	declared int64 // the body's length from the header, -1 if unknown
	length   int   // where the length belongs in the message, if the header doesn't say it
	start    int   // where the body begins
	err      error // of a Write that the handler may not have looked at
}

var _ request.Message = (*message)(nil)

// begin makes m the response to the next message.
func (m *message) begin(out *megaki.ResponseWriter, raw, head bool) {
	m.header.Next()
	*m = message{out: out, raw: raw, head: head, header: m.header, names: m.names[:0]}
}

// Header implements http.ResponseWriter.
func (m *message) Header() http.Header { return m.header.Fields() }

// Status implements request.Response.
func (m *message) Status() int { return m.status }

// Size implements request.Response.
func (m *message) Size() int64 { return int64(m.out.Len()) }

// ChangeHeader implements request.Response.
func (m *message) ChangeHeader(f func(http.Header)) { m.change = f }

// SetReason implements request.Message.
func (m *message) SetReason(status string) { m.reason = status }

// Reset implements request.Response.
func (m *message) Reset() bool {
	m.out.Reset()
	m.header.Clear()
	m.status, m.reason, m.whole, m.noBody, m.err = 0, "", false, false, nil
	return true
}

// Verbatim implements request.Message.
func (m *message) Verbatim() io.Writer {
	m.status, m.whole = http.StatusOK, true
	return m.out
}

// statusOfWhole returns the status of a message that a backend wrote itself, if
// it is an HTTP response, as a script may write one.
func statusOfWhole(whole []byte) int {
	const version = len("HTTP/1.1 ")
	if len(whole) < version+3 || string(whole[:5]) != "HTTP/" {
		return http.StatusOK
	}
	status, err := strconv.Atoi(string(whole[version : version+3]))
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
func (m *message) WriteHeader(status int) {
	if m.status != 0 || status < 200 {
		return
	}
	m.status = status
	if m.change != nil {
		m.change(m.header.Fields())
	}
	if m.raw {
		if status > 299 {
			m.err = fmt.Errorf("the response to a raw message has the status %d", status)
		}
		m.declared = -1
		return
	}
	m.noBody = !httpmsg.BodyAllowed(status)
	m.err = m.writeHead()
}

// maxGrown is how much room is made for a body before it comes, in bytes.
const maxGrown = 1 << 20

func (m *message) writeHead() error {
	w, h := headWriter{ResponseWriter: m.out}, m.header.Fields()
	m.names = m.names[:0]
	w.string("HTTP/1.1 ")
	w.int(int64(m.status))
	w.string(" ")
	w.string(m.reasonPhrase())
	w.string("\r\n")
	m.declared = -1
	if line := h["Content-Length"]; len(line) > 0 {
		if n, err := strconv.ParseInt(line[0], 10, 64); err == nil && n >= 0 {
			m.declared = n
		}
	}
	for name := range h {
		if name != "Content-Length" && name != "Transfer-Encoding" && name != "Trailer" {
			m.names = append(m.names, name)
		}
	}
	slices.Sort(m.names)
	for _, name := range m.names {
		for _, value := range h[name] {
			w.field(name, value)
		}
	}
	m.length = 0
	switch {
	case m.status == http.StatusNoContent:
	case m.declared >= 0:
		w.string("Content-Length: ")
		w.int(m.declared)
		w.string("\r\n")
	case !m.noBody && !m.head:
		w.string("Content-Length: ")
		m.length = w.Len()
		w.string(lengthPlace + "\r\n")
	}
	w.string("\r\n")
	m.start = w.Len()
	if w.err != nil || m.noBody || m.head {
		return w.err
	}
	if room := int64(w.Limit() - w.Len()); m.declared > room {
		return &megaki.TooLongError{Length: int64(w.Len()) + m.declared, Limit: w.Limit()}
	}
	return m.out.Grow(int(min(max(m.declared, 0), maxGrown)))
}

// reasonPhrase returns the phrase that was set for the status, or else the usual
// one.
func (m *message) reasonPhrase() string {
	code, phrase, _ := strings.Cut(m.reason, " ")
	if n, err := strconv.Atoi(code); err != nil || n != m.status || strings.ContainsAny(phrase, "\r\n\x00") {
		return http.StatusText(m.status)
	}
	return phrase
}

// headWriter writes a head, and keeps the first error: what doesn't fit must not
// leave a head that looks whole.
type headWriter struct {
	*megaki.ResponseWriter
	err error
}

func (w *headWriter) string(s string) {
	if w.err == nil {
		_, w.err = w.ResponseWriter.WriteString(s)
	}
}

func (w *headWriter) int(n int64) {
	if w.err == nil {
		var digits [20]byte
		_, w.err = w.ResponseWriter.Write(strconv.AppendInt(digits[:0], n, 10))
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
func (m *message) ready() error {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	if m.err == nil && m.noBody {
		return http.ErrBodyNotAllowed
	}
	return m.err
}

// Write implements http.ResponseWriter.
func (m *message) Write(p []byte) (int, error) {
	if err := m.ready(); err != nil {
		return 0, err
	}
	if m.head {
		return len(p), nil
	}
	n, err := m.out.Write(p)
	m.err = err
	return n, err
}

// ReadFrom reads a body straight into the message.
func (m *message) ReadFrom(r io.Reader) (int64, error) {
	if err := m.ready(); err != nil {
		return 0, err
	}
	if m.head {
		return io.Copy(io.Discard, r)
	}
	n, err := m.out.ReadFrom(r)
	if err != nil {
		if long := (*megaki.TooLongError)(nil); errors.As(err, &long) || errors.Is(err, megaki.ErrMemory) {
			m.err = err
		}
	}
	return n, err
}

// Finish implements request.Response.
func (m *message) Finish() error {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	if m.whole && !m.raw {
		m.status = statusOfWhole(m.out.Bytes())
	}
	switch n := int64(m.out.Len() - m.start); {
	case m.err != nil:
		return m.err
	case m.raw, m.whole, m.noBody, m.head:
	case m.declared >= 0 && n != m.declared:
		return fmt.Errorf("the response has %d bytes, but its Content-Length is %d", n, m.declared)
	case m.length > 0:
		copy(m.out.Bytes()[m.length:], strconv.FormatInt(n, 10))
	}
	return nil
}
