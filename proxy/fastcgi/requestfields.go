package fastcgi

import (
	"net/http"
	"slices"
	"strings"

	"mkd/httptoken"
)

// appendFields appends the fields of a request's header, sorted by name.
// Fields that come several times are joined (RFC 3875, section 4.1.18), cookies
// as RFC 6265, section 5.4, has them.
func appendFields(dst []Param, r *http.Request) []Param {
	size := 0
	for name := range r.Header {
		size += len("HTTP_") + len(name)
	}
	// One string holds all the names, so that they take one allocation.
	var names strings.Builder
	names.Grow(size)
	first := len(dst)
	if r.Host != "" {
		dst = append(dst, Param{"HTTP_HOST", r.Host})
	}
	for name, values := range r.Header {
		if len(values) == 0 || !passes(name) {
			continue
		}
		start := names.Len()
		names.WriteString("HTTP_")
		for i := range len(name) {
			names.WriteByte(metaByte(name[i]))
		}
		meta := names.String()[start:]
		dst = append(dst, Param{meta, join(meta, values)})
	}
	fields := dst[first:]
	slices.SortFunc(fields, func(a, b Param) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	// Keys of the map that differ in case only are one field.
	n := 0
	for _, f := range fields {
		if n > 0 && fields[n-1].Name == f.Name {
			fields[n-1].Value = join(f.Name, []string{fields[n-1].Value, f.Value})
			continue
		}
		fields[n] = f
		n++
	}
	return dst[:first+n]
}

// passes reports whether a field is shown to the script as HTTP_*.
func passes(name string) bool {
	if !httptoken.Valid(name) || httptoken.Ambiguous(name) {
		return false
	}
	switch len(name) {
	case len("Host"):
		return !strings.EqualFold(name, "Host") // Request.Host is it
	case len("Proxy"):
		return !strings.EqualFold(name, "Proxy")
	case len("Content-Type"):
		return !strings.EqualFold(name, "Content-Type")
	case len("Content-Length"):
		return !strings.EqualFold(name, "Content-Length")
	}
	return true
}

func metaByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z':
		return c - 'a' + 'A'
	case c == '-':
		return '_'
	}
	return c
}

func join(meta string, values []string) string {
	if meta == "HTTP_COOKIE" {
		return strings.Join(values, "; ")
	}
	return strings.Join(values, ", ")
}
