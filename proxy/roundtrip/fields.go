package roundtrip

import (
	"fmt"
	"net/http"
	"strings"

	"mkd/httpfield"
)

// ParseFields parses the fields of a response, each of which is a line with its end,
// up to an empty line or the end of text. They replace what is in h; nil: a new Header.
// Their values are kept in values if that has room for all; else in a new slice. Names
// are brought to the canonical form. A folded line is refused: HTTP doesn't allow it any
// more, and CGI never has.
//
// Errors wrap ErrHeader. With quote they show the line, for the author of a script;
// that of another server may be a secret.
func ParseFields(text string, h http.Header, values []string, quote bool) (http.Header, error) {
	n := strings.Count(text, "\n")
	if h == nil {
		h = make(http.Header, n)
	}
	clear(h)
	if len(values) < n {
		values = make([]string, n)
	}
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		name, isName := httpfield.Canonical(name)
		switch {
		case !quote && (line[0] == ' ' || line[0] == '\t'):
			return nil, fmt.Errorf("%w: a field is folded", ErrHeader)
		case !quote && (!ok || !isName):
			return nil, fmt.Errorf("%w: a line of it isn't a field", ErrHeader)
		case !ok || !isName:
			return nil, fmt.Errorf("%w: %.80q isn't a field", ErrHeader, line)
		}
		value = strings.Trim(value, " \t")
		if !httpfield.IsValue(value) {
			return nil, fmt.Errorf("%w: a control character in the field %.40s", ErrHeader, name)
		}
		if had := h[name]; had != nil {
			h[name] = append(had, value)
			continue
		}
		values[0] = value // most come once
		h[name], values = values[:1:1], values[1:]
	}
	return h, nil
}

// ContentLength returns the length in bytes that the header of a response announces, or
// -1. Lines with the same value become one.
//
// Errors wrap ErrHeader. With quote they show the value, as those of ParseFields do.
func ContentLength(h http.Header, quote bool) (int64, error) {
	lines := h["Content-Length"]
	if len(lines) == 0 {
		return -1, nil
	}
	for _, line := range lines {
		if line != lines[0] {
			return 0, fmt.Errorf("%w: several values of Content-Length", ErrHeader)
		}
	}
	n, ok := httpfield.ParseLength(lines[0])
	switch {
	case !ok && quote:
		return 0, fmt.Errorf("%w: Content-Length is %.80q", ErrHeader, lines[0])
	case !ok:
		return 0, fmt.Errorf("%w: Content-Length isn't a number", ErrHeader)
	}
	h["Content-Length"] = lines[:1:1]
	return n, nil
}
