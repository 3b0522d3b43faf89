package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"mkd/httpfield"
)

// request is an HTTP request, before it is made a message.
type request struct {
	target  target
	method  string
	fields  []field // the user's
	body    []byte
	hasBody bool
}

// field is a line of a header.
type field struct {
	name, value string
	drop        bool // no field of the name is sent, not even a default one
	secret      bool // not for other hosts
}

// parseHeader reads the value of -H: "Name: value", "Name;" for an empty value,
// "Name:" for none at all.
func parseHeader(s string) (f field, err error) {
	name, value, ok := strings.Cut(s, ":")
	switch f.value = strings.Trim(value, " \t"); {
	case ok:
		f.drop = f.value == ""
	case strings.HasSuffix(s, ";"):
		name = s[:len(s)-1]
	default:
		return f, fmt.Errorf("-H %q: want 'Name: value'", s)
	}
	f.name = name
	if !httpfield.IsToken(name) {
		return f, fmt.Errorf("-H %q: want a name of letters, digits and hyphens", s)
	}
	if !httpfield.IsValue(f.value) {
		return f, fmt.Errorf("-H %q: want a value without control characters", s)
	}
	f.secret = f.is("Authorization") || f.is("Cookie") || f.is("Proxy-Authorization")
	return f, nil
}

func (f *field) is(name string) bool { return strings.EqualFold(f.name, name) }

func (r *request) has(name string) bool {
	return slices.ContainsFunc(r.fields, func(f field) bool { return f.is(name) })
}

// set adds a field if the user gave none of that name.
func (r *request) set(f field) {
	if !r.has(f.name) {
		r.fields = append(r.fields, f)
	}
}

// message returns the request as a message, and the length of its head. The body
// is one chunk if a flag sets Transfer-Encoding: chunked.
func (r *request) message() (msg []byte, head int) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\n", r.method, r.target.path, r.target.query)
	if !r.has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", r.target.host)
	}
	if !r.has("User-Agent") {
		fmt.Fprintf(&b, "User-Agent: sazukari/%s\r\n", version)
	}
	if !r.has("Accept") {
		b.WriteString("Accept: */*\r\n")
	}
	chunked := false
	for _, f := range r.fields {
		if !f.drop {
			fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
			chunked = chunked || f.is("Transfer-Encoding") && strings.EqualFold(f.value, "chunked")
		}
	}
	if r.hasBody && !chunked && !r.has("Content-Length") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n")
	head = b.Len()
	switch {
	case !chunked:
		b.Write(r.body)
	case len(r.body) > 0:
		fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(r.body), r.body)
	default:
		b.WriteString("0\r\n\r\n")
	}
	return b.Bytes(), head
}

// follow makes it the request to the target of a redirect (RFC 9110, section
// 15.4). As with curl, a POST becomes a GET unless the status forbids that, and
// secrets are for the first host alone.
func (r *request) follow(next target, status int, first string) {
	moved := status == http.StatusMovedPermanently || status == http.StatusFound
	if moved && r.method == http.MethodPost || status == http.StatusSeeOther && r.method != http.MethodHead {
		r.method, r.body, r.hasBody = http.MethodGet, nil, false
		r.fields = slices.DeleteFunc(r.fields, func(f field) bool {
			return f.is("Transfer-Encoding") || len(f.name) > 8 && strings.EqualFold(f.name[:8], "Content-")
		})
	}
	if next.host != first {
		r.fields = slices.DeleteFunc(r.fields, func(f field) bool { return f.secret || f.is("Host") })
	}
	r.target = next
}
