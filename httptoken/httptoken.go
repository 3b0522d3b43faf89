// Package httptoken recognizes tokens of HTTP (RFC 9110, section 5.6.2): methods,
// names of fields and of parameters.
package httptoken

import "net/http"

// The characters of a token: a bit for each of 0 to 63, and for each of 64 to 127.
const (
	low  = (1<<10-1)<<'0' | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
	high = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64) | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
)

// IsByte reports whether c may occur in a token.
func IsByte(c byte) bool { return (uint64(low)>>c|uint64(high)>>(c-64))&1 != 0 } // a shift by 64 or more leaves nothing

// Valid reports whether s is a token.
func Valid(s string) bool {
	for i := range len(s) {
		if !IsByte(s[i]) {
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
		if !IsByte(c) {
			return "", false
		}
		if first && 'a' <= c && c <= 'z' || !first && 'A' <= c && c <= 'Z' {
			return http.CanonicalHeaderKey(name), Valid(name[i:])
		}
		first = c == '-'
	}
	return name, name != ""
}

// Ambiguous reports whether a field's name has a character that CGI and PHP take for
// another one: _ and . become what - does, so that two names are one.
func Ambiguous(name string) bool {
	for i := range len(name) {
		if c := name[i]; c == '_' || c == '.' {
			return true
		}
	}
	return false
}
