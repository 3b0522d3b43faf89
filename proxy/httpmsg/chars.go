package httpmsg

// Sets of ASCII characters: a bit for each of 0 to 63, and for each of 64 to 127.
const (
	digitsLo  = (1<<10 - 1) << '0'
	lettersHi = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)

	// unreserved: RFC 3986, section 2.3.
	unreservedLo = digitsLo | 1<<'-' | 1<<'.'
	unreservedHi = lettersHi | 1<<('_'-64) | 1<<('~'-64)

	// delimiter: what a path may have besides, sub-delims, ":" and "@" (RFC
	// 3986, section 3.3), in two parts: package net/url leaves the first as it
	// is and escapes the second when it has to choose.
	plainLo  = 1<<'$' | 1<<'&' | 1<<'+' | 1<<',' | 1<<';' | 1<<'=' | 1<<':'
	plainHi  = 1 << ('@' - 64)
	quotedLo = 1<<'!' | 1<<'\'' | 1<<'(' | 1<<')' | 1<<'*'

	nameLo = unreservedLo
	nameHi = lettersHi | 1<<('_'-64)
)

// has reports whether c is in a set. A shift by 64 or more leaves nothing.
func has(c byte, lo, hi uint64) bool { return (lo>>c|hi>>(c-64))&1 != 0 }

func isUnreserved(c byte) bool { return has(c, unreservedLo, unreservedHi) }

func isDelimiter(c byte) bool { return has(c, plainLo|quotedLo, plainHi) }

// isPlain reports whether package net/url leaves c as it is in a path.
func isPlain(c byte) bool { return has(c, unreservedLo|plainLo|1<<'/', unreservedHi|plainHi) }

// isName reports whether c may be part of a host that isn't an IPv6 address.
func isName(c byte) bool { return has(c, nameLo, nameHi) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isControl reports whether c is a control character, which no field and no target has,
// except for a tab.
func isControl(c byte) bool { return c < ' ' || c == 0x7f }

// unhex returns the value of a hex digit.
func unhex(c byte) (value byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// unescape returns the byte that s[i:] has an escape of.
func unescape(s string, i int) (c byte, ok bool) {
	if i+2 >= len(s) || s[i] != '%' {
		return 0, false
	}
	high, ok1 := unhex(s[i+1])
	low, ok2 := unhex(s[i+2])
	return high<<4 | low, ok1 && ok2
}

// equalFold compares ASCII texts without regard to case. strings.EqualFold
// would take a Kelvin sign for a k.
func equalFold(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != lower(t[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
