package httpmsg

import "strings"

// WrittenPath returns the path of a request target as the client wrote it,
// without its query, and whether it means the same as the path that CleanPath
// makes of it: the two differ in empty segments and in escapes of ordinary
// characters, and in nothing else. A path with a dot segment means something
// else to whoever doesn't resolve it, and one with a byte that no path may
// contain has to be escaped first. CleanPath must have accepted the target.
func WrittenPath(target string) (path string, ok bool) {
	path = target
	if target != "" && target[0] != '/' { // a whole URL
		_, rest, found := strings.Cut(target, "://")
		i := strings.IndexAny(rest, "/?")
		if !found || i < 0 || rest[i] == '?' {
			return "/", found
		}
		path = rest[i:]
	}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if path == "" {
		return "", false
	}
	dots, other := 0, false // of the segment
	for i := 0; i < len(path); i++ {
		c, escaped := unescape(path, i)
		if escaped {
			i += 2
		} else {
			c = path[i]
		}
		switch {
		case c == '/' && !escaped:
			if isDots(dots, other) {
				return "", false
			}
			dots, other = 0, false
		case c == '.':
			dots++
		case !escaped && !isUnreserved(c) && !isDelimiter(c):
			return "", false
		default:
			other = true
		}
	}
	return path, !isDots(dots, other)
}

// isDots reports whether a segment that has so many dots, and perhaps other
// characters, is "." or "..".
func isDots(dots int, other bool) bool { return !other && (dots == 1 || dots == 2) }
