package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// target is where a request goes. Path and query reach the server as they are
// here.
type target struct {
	scheme string
	host   string // the Host field: without a user, and without the scheme's own port
	path   string // escaped; begins with a slash
	query  string // empty, or with its question mark
	user   string // "user:password", decoded
}

// String returns the URL, without the user.
func (t *target) String() string { return t.scheme + "://" + t.host + t.path + t.query }

// parseTarget reads a URL as a user writes it: whole, or without its scheme, or
// a path alone, which is of the server's host. It escapes spaces and other
// characters that no URL has, drops a fragment, and resolves dot segments unless
// asIs is set.
func parseTarget(s, server string, asIs bool) (t target, err error) {
	rest := s
	t.scheme = "https" // in a session everything is encrypted
	if i := strings.Index(s, "://"); i >= 0 && !strings.ContainsAny(s[:i], "/?#") {
		t.scheme, rest = strings.ToLower(s[:i]), s[i+len("://"):]
		if t.scheme != "http" && t.scheme != "https" {
			return t, fmt.Errorf("%q: want the scheme http or https", s)
		}
	} else if strings.HasPrefix(s, "/") {
		t.host = hostOf(server)
		if err := t.setPath(s, asIs); err != nil {
			return t, fmt.Errorf("%q: %w", s, err)
		}
		return t, nil
	}
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	rest = rest[len(host):]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		if t.user, err = url.PathUnescape(host[:i]); err != nil {
			return t, fmt.Errorf("%q: the user: %w", s, err)
		}
		host = host[i+1:]
	}
	if t.host, err = checkHost(t.scheme, host); err != nil {
		return t, fmt.Errorf("%q: %w", s, err)
	}
	if err := t.setPath(rest, asIs); err != nil {
		return t, fmt.Errorf("%q: %w", s, err)
	}
	return t, nil
}

// follow returns the target of a Location field (RFC 3986, section 5.2).
func (t *target) follow(location string, asIs bool) (next target, err error) {
	next = target{scheme: t.scheme, host: t.host}
	path, _, _ := strings.Cut(location, "?")
	dir := t.path[:strings.LastIndexByte(t.path, '/')+1]
	colon, slash := strings.IndexByte(path, ':'), strings.IndexByte(path, '/')
	switch {
	case colon > 0 && (slash < 0 || colon < slash):
		if !strings.HasPrefix(location[colon:], "://") {
			return next, fmt.Errorf("redirect to %q: want the scheme http or https", location)
		}
		next, err = parseTarget(location, "", asIs)
	case strings.HasPrefix(location, "//"):
		next, err = parseTarget(t.scheme+":"+location, "", asIs)
	case strings.HasPrefix(location, "/"):
		err = next.setPath(location, asIs)
	case location == "" || location[0] == '#':
		next.path, next.query = t.path, t.query
	case location[0] == '?':
		err = next.setPath(t.path+location, true)
	default:
		err = next.setPath(dir+location, asIs)
	}
	if err != nil {
		return next, fmt.Errorf("redirect: %w", err)
	}
	next.user = "" // a server must not choose the user
	return next, nil
}

func (t *target) setPath(s string, asIs bool) error {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return fmt.Errorf("a URL has no control characters: 0x%02x", s[i])
		}
	}
	s, _, _ = strings.Cut(s, "#")
	path, query, ok := strings.Cut(s, "?")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if !asIs {
		path = withoutDots(path)
	}
	t.path, t.query = escape(path), ""
	if ok {
		t.query = "?" + escape(query)
	}
	return nil
}

// addQuery adds to the query, as -G does.
func (t *target) addQuery(s string) {
	switch {
	case t.query == "":
		t.query = "?"
	case t.query != "?":
		t.query += "&"
	}
	t.query += escape(s)
}

// escape escapes what no URL has.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// withoutDots resolves dot segments (RFC 3986, section 5.2.4).
func withoutDots(path string) string {
	var out []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s != "." && s != ".." {
			out = append(out, s)
			continue
		}
		if s == ".." && len(out) > 0 {
			out = out[:len(out)-1]
		}
		if i == len(segments)-1 {
			out = append(out, "") // it ends in a slash
		}
	}
	return "/" + strings.Join(out, "/")
}

// hostOf returns the host of the server's address, as a URL has it. It drops the
// port, which is Megaki's and not a site's.
func hostOf(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 && i > strings.LastIndexByte(address, ']') {
		address = address[:i]
	}
	if zone := strings.IndexByte(address, '%'); zone >= 0 && strings.HasSuffix(address, "]") {
		address = address[:zone] + "]"
	}
	return cmp.Or(address, "localhost")
}

// checkHost checks a host, and drops the scheme's default port.
func checkHost(scheme, host string) (string, error) {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("the port is %q: want a number from 1 to 65535", port)
		}
	}
	if name == "" {
		return "", errors.New("it has no host")
	}
	if name[0] == '[' {
		if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err != nil || !a.Is6() || a.Zone() != "" || !strings.HasSuffix(name, "]") {
			return "", fmt.Errorf("the host is %q: want an IPv6 address in the brackets", name)
		}
	} else if i := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"#%/:<>?@[\\]^`{|}", r) }); i >= 0 {
		return "", fmt.Errorf("the host is %q: want letters, digits, dots and hyphens; write a name of another script in its ASCII form, xn--", name)
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return name, nil
	}
	return name + ":" + port, nil
}
