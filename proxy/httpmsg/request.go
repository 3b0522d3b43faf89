package httpmsg

import (
	"bytes"
	"fmt"
	"net/http"

	"mkd/httpfield"
)

// maxMethod is the longest method in bytes; the longest registered one has 17.
const maxMethod = 32

// IsRequest reports whether a message means to be an HTTP/1.x request: its
// first line has a method token, a space, and " HTTP/1." somewhere after it.
// ParseRequest checks whether it is one.
func IsRequest(msg []byte) bool {
	n := 0
	for n < len(msg) && httpfield.IsTokenByte(msg[n]) {
		n++
	}
	if n == 0 || n == len(msg) || msg[n] != ' ' {
		return false
	}
	line := msg[n:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	return bytes.Contains(line, []byte(" HTTP/1."))
}

// ParseRequest reads a message that is exactly one HTTP/1.0 or HTTP/1.1 request
// (RFC 9112). All its errors are of type *Error.
//
// The result is what http.ReadRequest would return, with these differences:
//
//   - Body, if there is one, is a *Body, which reads straight from msg, so that
//     the request is valid as long as msg is. GetBody is set.
//   - A chunked body is decoded, in place and not before it is read, and
//     ContentLength and the Content-Length field say its length.
//   - "Expect: 100-continue" is dropped: the body is here already.
//   - Close is false: a message has no connection to close.
//   - Cache-Control isn't added to Pragma.
//
// The target is a path with its query, or a whole http or https URL; CONNECT
// and "OPTIONS *" are refused. The path is as it came: see CleanPath.
func ParseRequest(msg []byte, limits Limits) (*http.Request, error) {
	r := new(http.Request)
	if err := new(Parser).ParseMessage(msg, limits, r); err != nil {
		return nil, err
	}
	return r, nil
}

// ParseMessage is ParseRequest into r, which must be new or blank, as ParseHead
// wants it.
func (p *Parser) ParseMessage(msg []byte, limits Limits, r *http.Request) error {
	scan := HeadScanner{Limits: limits}
	n, err := scan.Scan(msg)
	if err != nil {
		return err
	}
	if n == 0 {
		return bad(0, "the head doesn't end: an empty line is missing after its fields")
	}
	f, err := p.ParseHead(msg[:n], r)
	if err != nil {
		return err
	}
	return frame(r, f, msg[n:])
}

func tooLarge(format string, limit int) error {
	return &Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: fmt.Sprintf(format, limit)}
}

// BodyAllowed reports whether a response with a status may have a body (RFC
// 9110, section 6.4.1).
func BodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
