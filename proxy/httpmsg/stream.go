package httpmsg

import (
	"net/http"
	"strconv"
	"strings"

	"mkd/httpfield"
)

// checkMethod checks a method. One in lower case is refused, as by nginx: methods are
// case-sensitive (RFC 9110, section 9.1), but not for every framework behind mkd, and
// a route that refuses DELETE would let delete pass.
func checkMethod(method string) error {
	for i := range len(method) {
		switch c := method[i]; {
		case !httpfield.IsTokenByte(c):
			return bad(1, "the byte 0x%02x in the method", c)
		case 'a' <= c && c <= 'z':
			return bad(1, "the method %s has lower-case letters", quote(method))
		}
	}
	if method == "" || len(method) > maxMethod {
		return bad(1, "a method of %d bytes: it has 1 to %d", len(method), maxMethod)
	}
	return nil
}

// CheckStream checks what ParseHead checks in a request of HTTP/1, and the servers of
// HTTP/2 and HTTP/3 don't: its method, the bytes of its path and query, what it
// expects, and whether its Content-Length is one, and that of its body (RFC 9113, sections
// 8.1.1 and 8.3.1).
//
// Spaces around the values of fields are dropped, as ParseHead does: a server of HTTP/1
// behind mkd would do so (RFC 9112, section 5.1), and see another value than the one that
// was matched.
func CheckStream(r *http.Request) error {
	for _, values := range r.Header {
		for i, v := range values {
			values[i] = trim(v)
		}
	}
	if err := checkMethod(r.Method); err != nil {
		return &Error{Status: http.StatusBadRequest, Reason: err.(*Error).Reason}
	}
	if r.Method != http.MethodConnect && r.RequestURI != "*" && !strings.HasPrefix(r.RequestURI, "/") {
		return bad(0, "the path doesn't begin with a slash")
	}
	if err := checkTarget(r.RequestURI); err != nil {
		return err
	}
	for _, value := range r.Header["Expect"] {
		if err := checkExpect(value, 0); err != nil {
			return err
		}
	}
	lengths := r.Header["Content-Length"]
	switch {
	case len(lengths) == 0:
		return nil
	case len(lengths) > 1:
		return bad(0, "a second Content-Length")
	case !httpfield.IsDigits(lengths[0]):
		return bad(0, "Content-Length is %s: it is one number, in digits", quote(lengths[0]))
	}
	if n, err := strconv.ParseInt(lengths[0], 10, 64); err != nil || n != r.ContentLength {
		return bad(0, "Content-Length is %s, which the body hasn't", quote(lengths[0]))
	}
	return nil
}
