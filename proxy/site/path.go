package site

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// maxPath is the length of the longest path that is looked up, in bytes: Linux
// opens none that is longer (PATH_MAX without its NUL).
const maxPath = 4095

// pathOf returns the path of a URL if it is clean.
func pathOf(u *url.URL) (string, error) {
	if encodedSeparator(u.RawPath) {
		return "", notFound(u.RawPath, "has an encoded slash or backslash")
	}
	return u.Path, checkPath(u.Path)
}

// checkPath returns an error for a path that isn't clean.
func checkPath(p string) error {
	switch {
	case len(p) > maxPath:
		return notFound(p, "is too long")
	case p == "" || p[0] != '/':
		return notFound(p, "doesn't begin with a slash")
	case strings.IndexByte(p, 0) >= 0:
		return notFound(p, "has a NUL")
	case strings.IndexByte(p, '\\') >= 0 || encodedSeparator(p):
		return notFound(p, "has a backslash, or an encoded slash or backslash")
	case strings.Contains(p, "//"):
		return notFound(p, "has an empty segment")
	case strings.Contains(p, "/./") || strings.Contains(p, "/../") || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/.."):
		return notFound(p, "has a dot segment")
	}
	return nil
}

// encodedSeparator reports whether s contains %2F or %5C. A router may leave them
// in a path, and whoever decodes it next would find a separator.
func encodedSeparator(s string) bool { return encodedAt(s) >= 0 }

// encodedAt returns the index of the first %2F or %5C in s, -1 if there is none.
func encodedAt(s string) int {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && (s[i+1] == '2' && s[i+2]|0x20 == 'f' || s[i+1] == '5' && s[i+2]|0x20 == 'c') {
			return i
		}
	}
	return -1
}

// hidden reports whether a segment of the path p is a dotfile or matches one of the
// patterns.
func hidden(p string, patterns []string) bool {
	for first, rest := true, p[1:]; rest != ""; first = false {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		if segment == "" {
			continue
		}
		if segment[0] == '.' && !(first && segment == ".well-known") || matches(patterns, segment) {
			return true
		}
	}
	return false
}

// matches reports whether a name matches one of the patterns, in upper or lower
// case. A malformed pattern matches all names.
func matches(patterns []string, name string) bool {
	if len(patterns) == 0 {
		return false
	}
	name = strings.ToLower(name)
	for _, pattern := range patterns {
		if ok, err := path.Match(strings.ToLower(pattern), name); ok || err != nil {
			return true
		}
	}
	return false
}

// LacksSlash reports whether a path is that of a folder, and the client asked for it without
// the slash, which a router added as it removed all that was before it. What the folder's
// page links to would be elsewhere.
func LacksSlash(path string, asked *url.URL) bool {
	return strings.HasSuffix(path, "/") && !strings.HasSuffix(asked.Path, "/")
}

// Redirect redirects a request to the folder at the path that the client asked for, with a
// slash at its end and the same query: 301, or for another method than GET and HEAD 308,
// which keeps the method too (RFC 9110, section 15.4). Of asked only Path and RawQuery
// count. The Location never leads to another host.
func Redirect(w http.ResponseWriter, r *http.Request, asked *url.URL) {
	location := (&url.URL{Path: "/" + strings.TrimLeft(asked.Path, `/\`)}).EscapedPath()
	if !strings.HasSuffix(location, "/") {
		location += "/"
	}
	if asked.RawQuery != "" {
		location += "?" + printable(asked.RawQuery)
	}
	h := w.Header()
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	status := http.StatusMovedPermanently
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		status = http.StatusPermanentRedirect
	}
	w.WriteHeader(status)
}

// printable escapes the bytes that a query must not contain: controls, blanks, and
// those outside ASCII.
func printable(query string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
