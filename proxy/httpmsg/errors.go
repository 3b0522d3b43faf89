package httpmsg

import (
	"fmt"
	"net/http"
	"strconv"
)

// Error is why a request is refused, in words for the author of its client.
// It quotes at most 40 bytes of the request, and no value of a field that could
// be a secret.
type Error struct {
	Status int    // of the response: 400, or a more exact one
	Line   int    // of the head, from 1, the request line; 0 if it isn't one line's fault
	Reason string // in lower case, without a full stop
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return "line " + strconv.Itoa(e.Line) + ": " + e.Reason
	}
	return e.Reason
}

func bad(line int, format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Line: line, Reason: fmt.Sprintf(format, args...)}
}

// quote returns what may be shown of a request's bytes.
func quote(s string) string {
	const limit = 40
	if len(s) > limit {
		return strconv.QuoteToASCII(s[:limit]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
