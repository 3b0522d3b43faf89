package httpmsg

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// fields reads the n lines after the request line (RFC 9112, section 5).
func (p *parser) fields(text string, n int) error {
	p.Header = make(http.Header, n)
	values := make([]string, n) // of all fields that come once
	for text != "" {
		p.line++
		var line string
		line, text = cutLine(text)
		name, value, err := p.cutField(line)
		if err != nil {
			return err
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		had := p.Header[key]
		kept, err := p.field(key, value, had != nil)
		switch {
		case err != nil:
			return err
		case !kept:
		case had != nil:
			p.Header[key] = append(had, value)
		default:
			values[0] = value
			p.Header[key], values = values[:1:1], values[1:]
		}
	}
	return nil
}

// cutField takes a field line to pieces, and checks each byte.
func (p *parser) cutField(line string) (name, value string, err error) {
	n := 0
	for n < len(line) && isToken(line[n]) {
		n++
	}
	switch {
	case n == len(line):
		return "", "", bad(p.line, "a field without a colon")
	case line[n] == ':' && n > 0:
	case line[n] == ':':
		return "", "", bad(p.line, "a field without a name")
	case n == 0 && isSpace(line[0]):
		return "", "", bad(p.line, "it begins with a space: a field stands on one line")
	case isSpace(line[n]) && strings.HasPrefix(strings.TrimLeft(line[n:], " \t"), ":"):
		return "", "", bad(p.line, "a space before the colon of %s", quote(line[:n]))
	case isSpace(line[n]):
		return "", "", bad(p.line, "a header name with a space")
	default:
		return "", "", bad(p.line, "a header name with the byte 0x%02x", line[n])
	}
	name, value = line[:n], trim(line[n+1:])
	for i := range len(value) {
		if c := value[i]; isControl(c) && c != '\t' {
			return "", "", bad(p.line, "the control byte 0x%02x in %s", c, quote(name))
		}
	}
	return name, value, nil
}

// cutLine takes the first of several lines, all of which end in CR LF.
func cutLine(text string) (line, rest string) {
	i := strings.IndexByte(text, '\r')
	return text[:i], text[i+2:]
}

func trim(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// field sees to the fields that mean something to the message itself. It
// reports whether the field is to be kept.
func (p *parser) field(key, value string, again bool) (kept bool, err error) {
	switch key {
	case "Host":
		if again {
			return false, bad(p.line, "a second Host")
		}
		_, _, err := splitHost(value)
		return true, atLine(err, p.line)

	case "Content-Length": // a list, too, is refused: RFC 9112, section 6.3, leaves the choice
		switch {
		case again:
			return false, bad(p.line, "a second Content-Length")
		case p.chunked:
			return false, bad(p.line, "Content-Length and Transfer-Encoding: a body has one of them")
		case !isDigits(value):
			return false, bad(p.line, "Content-Length is %s: it is one number, in digits", quote(value))
		}
		if p.length, err = strconv.ParseInt(value, 10, 64); err != nil {
			return false, bad(p.line, "Content-Length is %s, which is too much", quote(value))
		}
		return true, nil

	case "Transfer-Encoding": // what frame makes of the body has none
		switch {
		case p.length >= 0:
			return false, bad(p.line, "Content-Length and Transfer-Encoding: a body has one of them")
		case p.chunked:
			return false, bad(p.line, "a second Transfer-Encoding")
		case p.ProtoMinor == 0:
			return false, bad(p.line, "Transfer-Encoding, which HTTP/1.0 doesn't know")
		case !equalFold(value, "chunked"):
			return false, &Error{Status: http.StatusNotImplemented, Line: p.line,
				Reason: "Transfer-Encoding is " + quote(value) + ": only chunked is known"}
		}
		p.chunked = true
		return false, nil

	case "Expect":
		if !equalFold(value, "100-continue") {
			return false, &Error{Status: http.StatusExpectationFailed, Line: p.line,
				Reason: "Expect is " + quote(value) + ": only 100-continue is known"}
		}
		return false, nil
	}
	return true, nil
}
