package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mkd/httpfield"
	"mkd/proxy/roundtrip"
)

// framing is how the body of a request is sent.
type framing struct {
	length  int64 // of the body in bytes; -1: unknown, so that it is chunked
	upgrade bool  // a change of protocol is asked for
	expect  bool  // the body waits until the server asks for it
}

// appendHead appends the request line and the header section of a request, up
// to the empty line (RFC 9112, sections 2 to 3.2 and 6).
func appendHead(dst []byte, r *http.Request, f framing, names []string) ([]byte, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	if !httpfield.IsToken(method) {
		return dst, fmt.Errorf("%w: its method isn't a token", roundtrip.ErrRequest)
	}
	if method == http.MethodConnect {
		return dst, fmt.Errorf("%w: CONNECT needs a tunnel", roundtrip.ErrRequest)
	}
	if r.URL == nil {
		return dst, fmt.Errorf("%w: it has no URL", roundtrip.ErrRequest)
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if !isHost(host) {
		return dst, fmt.Errorf("%w: its host is malformed", roundtrip.ErrRequest)
	}
	dst = append(dst, method...)
	dst = append(dst, ' ')
	begin := len(dst)
	if dst = appendTarget(dst, r.URL); !isTarget(dst[begin:]) {
		return dst, fmt.Errorf("%w: a space or a control character in its target", roundtrip.ErrRequest)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\n"...)
	dst, err := appendFields(dst, r.Header, names)
	if err != nil {
		return dst, err
	}
	if f.upgrade {
		dst = append(dst, "Connection: Upgrade\r\n"...)
		for _, v := range r.Header["Upgrade"] {
			if dst, err = appendField(dst, "Upgrade", v); err != nil {
				return dst, err
			}
		}
	}
	if f.expect {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	switch {
	case f.length < 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case f.length > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, f.length, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...), nil
}

// appendTarget appends what u.RequestURI returns.
func appendTarget(dst []byte, u *url.URL) []byte {
	if u.Opaque != "" {
		return append(dst, u.RequestURI()...)
	}
	if path := u.EscapedPath(); path != "" {
		dst = append(dst, path...)
	} else {
		dst = append(dst, '/')
	}
	if u.ForceQuery || u.RawQuery != "" {
		dst = append(dst, '?')
		dst = append(dst, u.RawQuery...)
	}
	return dst
}

// appendFields appends the fields that are passed on, sorted by name. It may use
// names.
func appendFields(dst []byte, h http.Header, names []string) ([]byte, error) {
	names = names[:0]
	for name := range h {
		if !httpfield.IsToken(name) {
			return dst, fmt.Errorf("%w: %.80q isn't the name of a field", roundtrip.ErrRequest, name)
		}
		if passes(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var err error
	for _, name := range names {
		for _, v := range h[name] {
			if dst, err = appendField(dst, name, v); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// appendField appends a field. An error doesn't quote its value, which may be a
// secret.
func appendField(dst []byte, name, value string) ([]byte, error) {
	if !httpfield.IsValue(value) {
		return dst, fmt.Errorf("%w: a control character in the field %s", roundtrip.ErrRequest, name)
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...), nil
}

// passes reports whether a field goes to the server as it is. The others concern
// the connection or the framing, of which none is the caller's, or are elsewhere
// in the request.
func passes(name string) bool {
	var other string
	switch len(name) {
	case 2:
		other = "Te"
	case 4:
		other = "Host"
	case 6:
		other = "Expect"
	case 7:
		if strings.EqualFold(name, "Trailer") {
			return false
		}
		other = "Upgrade"
	case 10:
		if strings.EqualFold(name, "Connection") {
			return false
		}
		other = "Keep-Alive"
	case 14:
		other = "Content-Length"
	case 16:
		other = "Proxy-Connection"
	case 17:
		other = "Transfer-Encoding"
	default:
		return true
	}
	return !strings.EqualFold(name, other)
}

// isTarget reports whether s can't be taken for anything but one request target.
func isTarget(p []byte) bool {
	for _, c := range p {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(p) > 0
}

// isHost reports whether s has only bytes of a host and a port (RFC 3986, section
// 3.2.2).
func isHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(".-:[]_~!$%&'()*+,;=", c) >= 0) {
			return false
		}
	}
	return true
}
