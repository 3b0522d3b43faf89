package httpmsg

import (
	"bytes"
	"net/url"
	"strings"
)

// CleanPath changes the path of a request's URL to the form in which it is matched
// and forwarded. To clean it again changes nothing.
//
//   - Dot segments are resolved, also those written with %2E; runs of slashes
//     become one; an empty path becomes "/"; a slash at the end stays.
//   - %2F and %5C stay, and separate nothing. A raw backslash becomes %5C.
//   - Escapes of unreserved characters (RFC 3986, section 2.3) are decoded, and
//     bytes that a path must not contain are escaped, with upper-case digits.
//     Escapes of delimiters, as %3B, stay: they may differ in meaning from the
//     delimiter itself. Parameters ("/a;b=c") are ordinary.
//
// It returns an *Error, and leaves u as it was, for a path that leads out of the
// root or doesn't begin with a slash, "*" included; for a NUL, also as %00; for
// malformed escapes; and for a ".." that is no dot segment here, but is one to some
// servers: before a semicolon ("..;") and beside an encoded slash or backslash
// ("..%2F"). In the query, bytes beyond ASCII are escaped; a blank or a control
// character is an error. The rest of the query stays as it is.
//
// u.EscapedPath and u.RequestURI then return the clean form. u.Path is decoded, so
// that a slash in it may have been %2F: compare the result of MatchPath, and look at
// u.RawPath before u.Path becomes the path of a file, as package site does.
func CleanPath(u *url.URL) error {
	query, err := cleanQuery(u.RawQuery)
	if err != nil {
		return err
	}
	if u.RawPath == "" && isClean(u.Path) {
		u.RawQuery = query
		return nil
	}
	src, err := escapedPath(u)
	if err != nil {
		return err
	}
	c := cleaner{out: make([]byte, 0, len(src)+16)}
	if err := c.path(src); err != nil {
		return err
	}
	clean := string(c.out)
	u.Path, u.RawPath, u.RawQuery = clean, "", query
	if strings.IndexByte(clean, '%') >= 0 {
		u.Path, _ = url.PathUnescape(clean) // the escapes are our own
	}
	if !isUsual(clean) {
		u.RawPath = clean
	}
	return nil
}

// cleanQuery escapes the bytes of a query that are beyond ASCII.
func cleanQuery(query string) (string, error) {
	beyond := 0
	for i := range len(query) {
		switch c := query[i]; {
		case c <= ' ', c == 0x7f:
			return "", bad(0, "the byte 0x%02x in the query, which isn't escaped", c)
		case c > 0x7f:
			beyond++
		}
	}
	if beyond == 0 {
		return query, nil
	}
	out := make([]byte, 0, len(query)+2*beyond)
	for i := range len(query) {
		if c := query[i]; c > 0x7f {
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			out = append(out, c)
		}
	}
	return string(out), nil
}

const upperHex = "0123456789ABCDEF"

// MatchPath returns the path of a cleaned URL in the form in which routes compare it:
// decoded except for %2F and %25. So a slash is always a separator, and no two paths
// look the same.
func MatchPath(u *url.URL) string {
	if u.RawPath == "" && strings.IndexByte(u.Path, '%') < 0 {
		return u.Path
	}
	src := u.EscapedPath()
	out := make([]byte, 0, len(src))
	for i := 0; i < len(src); i++ {
		if c, ok := unescape(src, i); ok && c != '/' && c != '%' {
			out = append(out, c)
			i += 2
			continue
		}
		out = append(out, src[i])
	}
	return string(out)
}

// isClean reports whether the path of a URL without RawPath is clean. Most are.
func isClean(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := range len(path) {
		if !isPlain(path[i]) {
			return false
		}
		if path[i] == '/' && i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
			return false
		}
	}
	return true
}

// isUsual reports whether package net/url would escape a path in the same way, so
// that a URL needs no RawPath.
func isUsual(path string) bool {
	for i := 0; i < len(path); i++ {
		c, escaped := unescape(path, i)
		if escaped {
			i += 2
		} else {
			c = path[i]
		}
		if isPlain(c) == escaped {
			return false
		}
	}
	return true
}

// escapedPath returns the path as the client wrote it. URL.EscapedPath doesn't: if
// some byte of the path should have been escaped and wasn't, it decodes %2F as well.
func escapedPath(u *url.URL) (string, error) {
	path := u.Path
	if u.RawPath != "" {
		decoded, err := url.PathUnescape(u.RawPath)
		if err != nil {
			return "", bad(0, "a broken escape in the path")
		}
		if decoded == path {
			path = u.RawPath
		}
	}
	switch {
	case u.Opaque != "", path != "" && path[0] != '/':
		return "", bad(0, "the path doesn't begin with a slash")
	case path == "":
		return "/", nil
	case path == u.RawPath:
		return path, nil
	}
	return (&url.URL{Path: path}).EscapedPath(), nil
}

// cleaner writes a clean path.
type cleaner struct{ out []byte }

func (c *cleaner) path(src string) error {
	folder := true // whether the path ends in a slash
	for src != "" {
		segment := src[1:] // after the slash
		if i := strings.IndexByte(segment, '/'); i >= 0 {
			segment = segment[:i]
		}
		src = src[1+len(segment):]
		if segment == "" {
			folder = true
			continue
		}
		parent := len(c.out)
		c.out = append(c.out, '/')
		if err := c.segment(segment); err != nil {
			return err
		}
		name := c.out[parent+1:]
		folder = string(name) == "." || string(name) == ".."
		switch {
		case string(name) == ".":
			c.out = c.out[:parent]
		case string(name) == ".." && parent == 0:
			return bad(0, "the path leads out of the root")
		case string(name) == "..":
			c.out = c.out[:bytes.LastIndexByte(c.out[:parent], '/')]
		case climbs(name):
			return bad(0, "a .. before a semicolon or beside an encoded slash in the path")
		}
	}
	if folder {
		c.out = append(c.out, '/')
	}
	return nil
}

// segment appends a segment in its clean form.
func (c *cleaner) segment(s string) error {
	for i := 0; i < len(s); i++ {
		b, escaped := s[i], false
		if b == '%' {
			if b, escaped = unescape(s, i); !escaped {
				return bad(0, "a broken escape in the path")
			}
			i += 2
		}
		switch {
		case b == 0:
			return bad(0, "a NUL in the path")
		case isUnreserved(b), isDelimiter(b) && !escaped:
			c.out = append(c.out, b)
		default:
			c.out = append(c.out, '%', upperHex[b>>4], upperHex[b&15])
		}
	}
	return nil
}

// climbs reports whether a clean segment has a ".." that is a dot segment to a server
// that decodes the path, or removes parameters, before it resolves dot segments.
func climbs(segment []byte) bool {
	for at := 0; ; at++ {
		i := bytes.Index(segment[at:], []byte(".."))
		if i < 0 {
			return false
		}
		at += i
		before, after := segment[:at], segment[at+2:]
		begins := len(before) == 0 || bytes.HasSuffix(before, []byte("%2F")) || bytes.HasSuffix(before, []byte("%5C"))
		ends := len(after) == 0 || after[0] == ';' || bytes.HasPrefix(after, []byte("%2F")) || bytes.HasPrefix(after, []byte("%5C"))
		if begins && ends {
			return true
		}
	}
}

// EscapeMatched returns a part of a path in the form of MatchPath, as a URL has it.
func EscapeMatched(s string) string {
	out := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/', isUnreserved(c), isDelimiter(c):
			out = append(out, c)
		case c == '%' && (strings.HasPrefix(s[i:], "%2F") || strings.HasPrefix(s[i:], "%25")):
			out = append(out, c)
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}
