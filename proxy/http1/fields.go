package http1

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"mkd/httpfield"
)

var noDeadline time.Time

// isFraming reports whether a field is about the connection or the framing,
// which are not the handler's. A handler may have written its name in any case.
func isFraming(name string) bool {
	switch len(name) {
	case len("Upgrade"):
		return strings.EqualFold(name, "Upgrade") || strings.EqualFold(name, "Trailer")
	case len("Connection"):
		return strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive")
	case len("Content-Length"):
		return strings.EqualFold(name, "Content-Length")
	case len("Proxy-Connection"):
		return strings.EqualFold(name, "Proxy-Connection")
	case len("Transfer-Encoding"):
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

func appendStatusLine(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "Status"
	}
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

// appendField appends a line for each value. A name that isn't one is left out,
// and a line end in a value becomes a space: neither can begin another line.
func appendField(dst []byte, name string, values []string) []byte {
	if !httpfield.IsToken(name) {
		return dst
	}
	for _, value := range values {
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		start := len(dst)
		dst = append(dst, value...)
		for i, b := range dst[start:] {
			if b == '\r' || b == '\n' || b == 0 {
				dst[start+i] = ' '
			}
		}
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// announceTrailers finds the trailers of a response that Trailer names.
func (w *Response) announceTrailers() {
	for _, line := range w.header.Fields()["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if httpfield.IsToken(name) && !isFraming(name) {
				w.trailers = append(w.trailers, name)
			}
		}
	}
}

func (w *Response) isTrailer(name string) bool {
	for _, t := range w.trailers {
		if t == name {
			return true
		}
	}
	return false
}

// appendTrailers appends the trailer section of a chunked body (RFC 9112,
// section 7.1.2).
func (w *Response) appendTrailers(dst []byte) []byte {
	h := w.header.Fields()
	for _, name := range w.trailers {
		dst = appendField(dst, name, h[name])
	}
	for name, values := range h {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && !isFraming(name) {
			dst = appendField(dst, name, values)
		}
	}
	return dst
}

// dateLine is the Date field of one second.
type dateLine struct {
	second int64
	line   []byte
}

var currentDate atomic.Pointer[dateLine]

// date returns the Date field (RFC 9110, section 6.6.1), which is formatted once
// a second.
func date() []byte {
	now := time.Now()
	d := currentDate.Load()
	if d == nil || d.second != now.Unix() {
		line := append([]byte("Date: "), now.UTC().Format(http.TimeFormat)...)
		d = &dateLine{now.Unix(), append(line, "\r\n"...)}
		currentDate.Store(d)
	}
	return d.line
}
