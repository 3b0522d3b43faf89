package httpmsg

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Limits of a request's head.
const (
	MaxHead   = 64 << 10 // bytes: the request line, the fields, the empty line
	MaxFields = 128      // field lines
)

// maxMethod is the longest method in bytes; the longest registered one has 17.
const maxMethod = 32

// IsRequest reports whether a message means to be an HTTP/1.x request: its
// first line has a method token, a space, and " HTTP/1." somewhere after it.
// ParseRequest tells whether it is one.
func IsRequest(msg []byte) bool {
	n := 0
	for n < len(msg) && isToken(msg[n]) {
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

// parsed is all of a request that has a fixed size, in one allocation.
type parsed struct {
	http.Request
	url     url.URL
	content content
	body    Body
}

// parser is a request on the way.
type parser struct {
	*parsed
	line    int   // being read, from 1
	length  int64 // Content-Length; -1: there is none
	chunked bool
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
func ParseRequest(msg []byte) (*http.Request, error) {
	head, lines, rest, err := cutHead(msg)
	if err != nil {
		return nil, err
	}
	p := parser{parsed: new(parsed), line: 1, length: -1}
	line, fields := cutLine(head)
	if err := p.requestLine(line); err != nil {
		return nil, err
	}
	if err := p.fields(fields, lines-1); err != nil {
		return nil, err
	}
	if err := p.checkHost(); err != nil {
		return nil, err
	}
	if err := p.frame(rest); err != nil {
		return nil, err
	}
	return &p.Request, nil
}

// cutHead finds the end of the head, and checks that all its lines end in CR LF.
// It returns the lines, each with its end, how many they are, and what follows
// the empty line after them.
func cutHead(msg []byte) (head string, lines int, rest []byte, err error) {
	at := 0
	for lines <= MaxFields+1 {
		line := msg[at:min(len(msg), MaxHead)]
		n := bytes.IndexByte(line, '\n')
		if n >= 0 {
			line = line[:n+1]
		}
		switch cr := bytes.IndexByte(line, '\r'); {
		case n == 0, n > 0 && line[n-1] != '\r':
			return "", 0, nil, bad(lines+1, "a line feed without a carriage return: lines end in CR LF")
		case cr >= 0 && cr+1 != n && cr+1 < len(line):
			return "", 0, nil, bad(lines+1, "a carriage return without a line feed: lines end in CR LF")
		case n < 0 && len(msg) > MaxHead:
			return "", 0, nil, tooLarge("the head is longer than %d bytes", MaxHead)
		case n < 0:
			return "", 0, nil, bad(0, "the head doesn't end: an empty line is missing after its fields")
		case n == 1 && lines == 0:
			return "", 0, nil, bad(1, "empty, where the request line should be")
		case n == 1:
			return string(msg[:at]), lines, msg[at+2:], nil
		}
		lines++
		at += n + 1
	}
	return "", 0, nil, tooLarge("the head has more than %d fields", MaxFields)
}

func tooLarge(format string, limit int) error {
	return &Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: fmt.Sprintf(format, limit)}
}

// requestLine reads the method, the target and the version (RFC 9112, section 3).
func (p *parser) requestLine(line string) error {
	method, rest, ok := strings.Cut(line, " ")
	if !ok {
		return bad(1, "no request line: that is a method, a path, and HTTP/1.1, with a space between each")
	}
	for i := range len(method) {
		if !isToken(method[i]) {
			return bad(1, "the byte 0x%02x in the method", method[i])
		}
	}
	if method == "" || len(method) > maxMethod {
		return bad(1, "a method of %d bytes: it has 1 to %d", len(method), maxMethod)
	}
	i := strings.LastIndexByte(rest, ' ')
	if i < 0 {
		return bad(1, "the version is missing: the line ends in a space and HTTP/1.1")
	}
	target, version := rest[:i], rest[i+1:]
	switch version {
	case "HTTP/1.1":
		p.ProtoMinor = 1
	case "HTTP/1.0":
	default:
		if strings.HasPrefix(version, "HTTP/") && len(version) == len("HTTP/1.1") {
			return &Error{Status: http.StatusHTTPVersionNotSupported, Line: 1,
				Reason: "the version is " + quote(version) + ": it is HTTP/1.1 or HTTP/1.0"}
		}
		return bad(1, "the version is %s: it is HTTP/1.1 or HTTP/1.0", quote(version))
	}
	p.Proto, p.ProtoMajor = version, 1
	p.Method, p.RequestURI = method, target
	if method == http.MethodConnect {
		return &Error{Status: http.StatusNotImplemented, Line: 1, Reason: "the method CONNECT: there are no tunnels here"}
	}
	return p.target()
}
