// Package httpfield has the grammar of HTTP's fields (RFC 9110, section 5): names and
// other tokens, values, lists of tokens, and lengths.
package httpfield

import (
	"net/http"
	"strconv"
	"strings"
)

// The characters of a token: a bit for each of 0 to 63, and for each of 64 to 127.
const (
	low  = (1<<10-1)<<'0' | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	high = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64) | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
)

// IsTokenByte reports whether c may occur in a token.
func IsTokenByte(c byte) bool { return (uint64(low)>>c|uint64(high)>>(c-64))&1 != 0 } // a shift by 64 or more leaves nothing

// IsToken reports whether s is a token, as methods, names of fields and names of
// parameters are (RFC 9110, section 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		if !IsTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// Canonical returns the name of a field in its canonical form, as
// http.CanonicalHeaderKey does. It reports false if the name isn't a token.
func Canonical(name string) (string, bool) {
	for i, first := 0, true; i < len(name); i++ {
		c := name[i]
		if !IsTokenByte(c) {
			return "", false
		}
		if first && 'a' <= c && c <= 'z' || !first && 'A' <= c && c <= 'Z' {
			return http.CanonicalHeaderKey(name), IsToken(name[i:])
		}
		first = c == '-'
	}
	return name, name != ""
}

// IsValue reports whether s can be a field's value, apart from spaces around it: it has no
// control characters but tabs (RFC 9110, section 5.5).
func IsValue(s string) bool { return ControlIn(s) < 0 }

// ControlIn returns where the first byte of s is that no value has, -1 if there is none.
func ControlIn(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return i
		}
	}
	return -1
}

// HasItem reports whether a field that is a list, in one line or several, has a token,
// whose case doesn't matter (RFC 9110, section 5.6.1).
func HasItem(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// IsDigits reports whether s has digits, and nothing else.
func IsDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// ParseLength returns the length in bytes that a Content-Length is (RFC 9110, section
// 8.6). It reports false if that isn't one number, in digits, below 2^63.
func ParseLength(s string) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && IsDigits(s)
}
