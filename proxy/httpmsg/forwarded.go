package httpmsg

import (
	"strings"

	"mkd/httpfield"
)

// ForwardedElement is an element of the Forwarded field: what one proxy reports
// about the request that it received (RFC 7239, section 4).
type ForwardedElement struct {
	For   string // the node that sent the request: 192.0.2.43, [2001:db8::1]:4711, unknown, _hidden
	Proto string // the scheme of the request
	Host  string // the Host field of the request
	Text  string // the element as it is in the field
}

// ParseForwarded parses the lines of a Forwarded field. Elements are in the
// order of the field: the last one comes from the nearest proxy. Any fault is an
// error: with half a field understood, one proxy's element could be part of
// another's quoted string.
func ParseForwarded(lines []string) ([]ForwardedElement, error) {
	var elements []ForwardedElement
	for _, line := range lines {
		for rest := trimSpaces(line); rest != ""; {
			if rest[0] == ',' { // an empty element (RFC 9110, section 5.6.1)
				rest = trimSpaces(rest[1:])
				continue
			}
			e, after, ok := cutForwarded(rest)
			if !ok {
				return nil, bad(0, "the Forwarded field is malformed")
			}
			elements = append(elements, e)
			rest = after
		}
	}
	return elements, nil
}

// cutForwarded parses the first element of a line. after is what follows it: ""
// or a comma.
func cutForwarded(line string) (e ForwardedElement, after string, ok bool) {
	rest := line
	seen := 0 // bits of the parameters that were given
	for {
		name, value, next, ok := cutForwardedPair(rest)
		if !ok {
			return e, "", false
		}
		bit := 0
		switch {
		case equalFold(name, "for"):
			e.For, bit = value, 1
		case equalFold(name, "proto"):
			e.Proto, bit = value, 2
		case equalFold(name, "host"):
			e.Host, bit = value, 4
		}
		if seen&bit != 0 { // no parameter may occur twice
			return e, "", false
		}
		seen |= bit
		rest = trimSpaces(next)
		switch {
		case rest == "" || rest[0] == ',':
			e.Text = strings.TrimRight(line[:len(line)-len(rest)], " \t")
			return e, rest, true
		case rest[0] != ';':
			return e, "", false
		}
		rest = trimSpaces(rest[1:])
	}
}

// cutForwardedPair parses a parameter, whose value is a token or a quoted string.
// Addresses with a colon or brackets are accepted without quotes too, since
// some proxies leave these out.
func cutForwardedPair(s string) (name, value, after string, ok bool) {
	n := 0
	for n < len(s) && httpfield.IsTokenByte(s[n]) {
		n++
	}
	if n == 0 || n == len(s) || s[n] != '=' {
		return "", "", "", false
	}
	name, s = s[:n], s[n+1:]
	if s != "" && s[0] == '"' {
		value, after, ok = cutQuoted(s)
		return name, value, after, ok
	}
	n = 0
	for n < len(s) && (httpfield.IsTokenByte(s[n]) || s[n] == ':' || s[n] == '[' || s[n] == ']') {
		n++
	}
	return name, s[:n], s[n:], n > 0
}

// cutQuoted parses a quoted string (RFC 9110, section 5.6.4).
func cutQuoted(s string) (value, after string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case isControl(c) && c != '\t':
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

func trimSpaces(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}
