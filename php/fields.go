package php

import (
	"fmt"
	"net/http"
	"strings"

	"mkd/httpfield"
)

// dropped reports whether a field belongs to the connection (RFC 9110, section 7.6.1),
// or is the length, which the frame has.
func dropped(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

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
		key, ok := httpfield.Canonical(name)
		if !ok {
			return nil, fmt.Errorf("%w: invalid field name %q", errFrame, name)
		}
		if !httpfield.IsValue(value) {
			return nil, fmt.Errorf("%w: a control character in the field %s", errFrame, name)
		}
		if dropped(key) {
			continue
		}
		if had := header[key]; had != nil {
			header[key] = append(had, value)
			continue
		}
		values[0] = value
		header[key], values = values[:1:1], values[1:]
	}
	return header, nil
}
