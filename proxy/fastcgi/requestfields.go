package fastcgi

import (
	"net/http"
	"slices"
	"strings"

	"mkd/httpfield"
	"mkd/metavar"
)

// addFields adds the fields of a request's header, sorted by name.
func addFields(p *Params, r *http.Request) {
	if r.Host != "" {
		p.Add("HTTP_HOST", r.Host)
	}
	var room [24]field
	fields, ok := appendFields(room[:0], r.Header)
	if !ok {
		fields, _ = appendFields(room[:0], canonicalCopy(r.Header))
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for _, f := range fields {
		p.addField(f.name, f.values)
	}
}

// field is a field of a header.
type field struct {
	name   string
	values []string
}

// appendFields appends the fields that are shown to the script. It reports false if a
// name isn't in the canonical form.
func appendFields(dst []field, h http.Header) ([]field, bool) {
	for name, values := range h {
		c, ok := httpfield.Canonical(name)
		if !ok {
			continue // it isn't a name
		}
		if c != name {
			return dst, false
		}
		if len(values) > 0 && passes(name) {
			dst = append(dst, field{name, values})
		}
	}
	return dst, true
}

// canonicalCopy returns a copy of a header with names in the canonical form. Those that
// differ in case only are one field, whose values are sorted.
func canonicalCopy(h http.Header) http.Header {
	made := make(http.Header, len(h))
	for name, values := range h {
		if c, ok := httpfield.Canonical(name); ok {
			made[c] = slices.Concat(made[c], values)
		}
	}
	for name, values := range made {
		if len(values) > len(h[name]) {
			slices.Sort(values)
		}
	}
	return made
}

// passes reports whether a field, whose name is in the canonical form, is shown to the
// script as HTTP_*.
func passes(name string) bool {
	switch name {
	case "Host", // Request.Host is it
		"Content-Type", "Content-Length":
		return false
	}
	return !metavar.Hidden(name)
}
