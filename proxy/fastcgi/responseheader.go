package fastcgi

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"mkd/httpfield"
	"mkd/proxy/roundtrip"
)

// errShort reports that a response ended before its Content-Length.
var errShort = fmt.Errorf("the response is shorter than its Content-Length: %w", io.ErrUnexpectedEOF)

// readHeader reads STDOUT up to the end of the header.
func (rt *roundTrip) readHeader() (*http.Response, error) {
	buf := rt.t.buffers.Get()
	defer rt.t.buffers.Put(buf)
	maxHeader := cmp.Or(rt.t.MaxHeader, DefaultMaxHeader)
	b, start := (*buf)[:0], 0 // start of the current line
	defer func() { *buf = b }()
	for {
		if err := rt.awaitStdout(); err != nil {
			if err == io.EOF {
				return nil, fmt.Errorf("%w: the response ended before its header did: %w", roundtrip.ErrHeader, io.ErrUnexpectedEOF)
			}
			return nil, err
		}
		p, err := rt.records.peek()
		if err != nil {
			return nil, err
		}
		line := bytes.IndexByte(p, '\n') + 1
		n := line
		if line == 0 {
			n = len(p)
		}
		if len(b)+n > maxHeader {
			return nil, fmt.Errorf("%w: it is longer than %d bytes", roundtrip.ErrHeader, maxHeader)
		}
		b = append(b, p[:n]...)
		rt.records.discard(n)
		if line == 0 {
			continue
		}
		if text := b[start:]; len(text) == 1 || len(text) == 2 && text[0] == '\r' {
			return rt.response(string(b[:start]))
		}
		start = len(b)
	}
}

// response makes a response from its header, whose lines all have their ends
// (RFC 3875, section 6).
func (rt *roundTrip) response(text string) (*http.Response, error) {
	if text == "" {
		return nil, fmt.Errorf("%w: it has no field", roundtrip.ErrHeader)
	}
	h, err := roundtrip.ParseFields(text, rt.call.Header, rt.values[:], true)
	if err != nil {
		return nil, err
	}
	code, status, err := takeStatus(h)
	if err != nil {
		return nil, err
	}
	length, err := roundtrip.ContentLength(h, true)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{
		Status:     status,
		StatusCode: code,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     h,
		Request:    rt.r,
	}
	rt.left = length
	switch {
	case code < 200 || code == http.StatusNoContent:
		delete(h, "Content-Length") // RFC 9110, section 8.6
		rt.bodyless, rt.left = true, -1
		length = 0
	case code == http.StatusNotModified:
		rt.bodyless, rt.left = true, -1
		length = 0
	case rt.r.Method == http.MethodHead:
		rt.bodyless, rt.left = true, -1
	}
	resp.ContentLength = length
	return resp, nil
}

// takeStatus returns the status of a response, and removes its field (RFC 3875,
// section 6.3.3).
func takeStatus(h http.Header) (code int, status string, err error) {
	given, ok := h["Status"]
	if !ok {
		code = http.StatusOK
		if h.Get("Location") != "" {
			code = http.StatusFound
		}
		return code, strconv.Itoa(code) + " " + http.StatusText(code), nil
	}
	delete(h, "Status")
	if len(given) > 1 {
		return 0, "", fmt.Errorf("%w: several Status fields", roundtrip.ErrHeader)
	}
	digits, reason, _ := strings.Cut(given[0], " ")
	if !httpfield.IsDigits(digits) || len(digits) != 3 || digits[0] == '0' {
		return 0, "", fmt.Errorf("%w: Status is %.80q", roundtrip.ErrHeader, given[0])
	}
	code, _ = strconv.Atoi(digits)
	if code == http.StatusSwitchingProtocols {
		return 0, "", fmt.Errorf("%w: Status is 101, and FastCGI has no other protocol to switch to", roundtrip.ErrHeader)
	}
	return code, digits + " " + cmp.Or(reason, http.StatusText(code)), nil
}
