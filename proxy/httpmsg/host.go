package httpmsg

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"mkd/httpfield"
)

// maxHost is the longest name in bytes (RFC 1035, section 2.3.4), with a dot at
// its end.
const maxHost = 254

// CleanHost returns the host of a Host field or of a URL in the form in which hosts
// are compared: in lower case, without a port, and without a dot at its end. An IPv6
// address keeps its brackets and has its shortest form (RFC 5952).
//
// A host consists of letters, digits, "-", "_" and "."; clients send other names in
// their ASCII form. An empty or malformed host, or a malformed port, is an *Error.
func CleanHost(host string) (string, error) {
	name, _, err := splitHost(host)
	if err != nil {
		return "", err
	}
	if name[0] == '[' {
		addr, err := netip.ParseAddr(name[1 : len(name)-1])
		if err != nil {
			return "", bad(0, "the host is %s, which isn't an address", quote(host))
		}
		return "[" + addr.String() + "]", nil
	}
	return strings.ToLower(strings.TrimSuffix(name, ".")), nil
}

// splitHost checks a host with or without a port, and splits the two. An IPv6 address
// keeps its brackets.
func splitHost(s string) (name, port string, err error) {
	if strings.IndexByte(s, '@') >= 0 { // perhaps with a password
		return "", "", bad(0, "a user name in the host")
	}
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", bad(0, "the host is %s: a bracket is missing", quote(s))
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", bad(0, "the host is %s: want an IPv6 address in the brackets, without a zone", quote(s))
		}
		name, port = s[:end+1], s[end+1:]
	} else {
		name = s
		if i := strings.IndexByte(s, ':'); i >= 0 {
			name, port = s[:i], s[i:]
		}
		if err := checkName(name); err != nil {
			return "", "", err
		}
	}
	if port == "" {
		return name, "", nil
	}
	if n, err := strconv.ParseUint(port[1:], 10, 16); port[0] != ':' || !httpfield.IsDigits(port[1:]) || err != nil || n == 0 {
		return "", "", bad(0, "the host is %s: a port is a number from 1 to 65535", quote(s))
	}
	return name, port[1:], nil
}

func checkName(name string) error {
	if name == "" {
		return bad(0, "the host is empty")
	}
	if len(name) > maxHost {
		return bad(0, "the host is longer than %d bytes", maxHost)
	}
	dot := true // before the first label
	for i := range len(name) {
		switch c := name[i]; {
		case !isName(c):
			return bad(0, "the byte 0x%02x in the host", c)
		case c == '.' && dot:
			return bad(0, "the host is %s: a label is empty", quote(name))
		default:
			dot = c == '.'
		}
	}
	return nil
}

// atLine adds a line number to an error that has none.
func atLine(err error, line int) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		e.Line = line
	}
	return err
}
