package php

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"mkd/httptoken"
)

// connectionFields are the fields that belong to the connection (RFC 9110, section
// 7.6.1), and the length, which the frame has. They are dropped.
var connectionFields = [...]string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// parseFields parses the fields of a header: names and values, each of which ends
// with a NUL.
func parseFields(text string) (http.Header, error) {
	n := strings.Count(text, "\x00")
	if n%2 != 0 || n > 2*maxResponseFields || text != "" && text[len(text)-1] != 0 {
		return nil, fmt.Errorf("%w: a header of %d names and values", errFrame, n)
	}
	header := make(http.Header, n/2)
	values := make([]string, n/2) // of all fields, in one allocation
	for text != "" {
		var name, value string
		name, text, _ = strings.Cut(text, "\x00")
		value, text, _ = strings.Cut(text, "\x00")
		if !httptoken.Valid(name) {
			return nil, fmt.Errorf("%w: invalid field name %q", errFrame, name)
		}
		if !printable(value) {
			return nil, fmt.Errorf("%w: a control character in the field %s", errFrame, name)
		}
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(connectionFields[:], name) {
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

// printable reports whether a text has no control characters except tabs.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
