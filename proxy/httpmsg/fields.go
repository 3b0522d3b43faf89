package httpmsg

import (
	"net/http"
	"strconv"
	"strings"

	"mkd/httpfield"
)

// fields reads the lines after the request line (RFC 9112, section 5).
func (p *Parser) fields(text string) error {
	n := strings.Count(text, "\n")
	h := p.r.Header
	if h == nil {
		h = make(http.Header, n)
		p.r.Header = h
	}
	if p.values = p.values[:0]; cap(p.values) < n {
		p.values = make([]string, 0, n)
	}
	for text != "" {
		p.line++
		var line string
		line, text = cutLine(text)
		name, value, err := p.cutField(line)
		if err != nil {
			return err
		}
		key, _ := httpfield.Canonical(name)
		had := h[key]
		kept, err := p.field(key, value, had != nil)
		switch {
		case err != nil:
			return err
		case !kept:
		case had != nil:
			h[key] = append(had, value)
		default:
			p.values = append(p.values, value)
			n := len(p.values)
			h[key] = p.values[n-1 : n : n]
		}
	}
	return nil
}

// cutField takes a field line to pieces, and checks each byte.
func (p *Parser) cutField(line string) (name, value string, err error) {
	n := 0
	for n < len(line) && httpfield.IsTokenByte(line[n]) {
		n++
	}
	switch {
	case n == len(line):
		return "", "", bad(p.line, "a field without a colon")
	case line[n] == ':' && n > 0:
	case line[n] == ':':
		return "", "", bad(p.line, "a field without a name")
	case n == 0 && isSpace(line[0]):
		return "", "", bad(p.line, "it begins with a space: a field is on one line")
	case isSpace(line[n]) && strings.HasPrefix(strings.TrimLeft(line[n:], " \t"), ":"):
		return "", "", bad(p.line, "a space before the colon of %s", quote(line[:n]))
	case isSpace(line[n]):
		return "", "", bad(p.line, "a header name with a space")
	default:
		return "", "", bad(p.line, "a header name with the byte 0x%02x", line[n])
	}
	name, value = line[:n], trim(line[n+1:])
	if i := httpfield.ControlIn(value); i >= 0 {
		return "", "", bad(p.line, "the control byte 0x%02x in %s", value[i], quote(name))
	}
	return name, value, nil
}

// CheckField checks a field line, without its line end, as ParseHead does: it
// fails with an *Error.
func CheckField(line string) error {
	_, _, err := new(Parser).cutField(line)
	return err
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
func (p *Parser) field(key, value string, again bool) (kept bool, err error) {
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
		case !httpfield.IsDigits(value):
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
		case p.r.ProtoMinor == 0:
			return false, bad(p.line, "Transfer-Encoding, which HTTP/1.0 doesn't know")
		case !equalFold(value, "chunked"):
			return false, &Error{Status: http.StatusNotImplemented, Line: p.line,
				Reason: "Transfer-Encoding is " + quote(value) + ": only chunked is known"}
		}
		p.chunked = true
		return false, nil

	case "Expect":
		if err := checkExpect(value, p.line); err != nil {
			return false, err
		}
		p.expect = true
		return false, nil
	}
	return true, nil
}

// checkExpect checks a value of Expect (RFC 9110, section 10.1.1).
func checkExpect(value string, line int) error {
	if equalFold(value, "100-continue") {
		return nil
	}
	return &Error{Status: http.StatusExpectationFailed, Line: line, Reason: "Expect is " + quote(value) + ": only 100-continue is known"}
}
