package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// checkFormat checks a string that has a format. Its errors are what is wanted
// instead.
func checkFormat(format, s string) error {
	switch format {
	case "address":
		return checkAddress(s)
	case "network":
		return checkNetwork(s)
	case "host":
		return checkHost(s)
	case "path":
		return checkPathPattern(s)
	case "prefix":
		return checkPrefix(s)
	case "target":
		return checkTarget(s)
	case "location":
		return checkLocation(s)
	case "url":
		return checkURL(s)
	case "upstream":
		return checkUpstream(s)
	case "method":
		if !isToken(s) || strings.ToUpper(s) != s {
			return errors.New("want a method in capitals, as in GET")
		}
	case "field":
		return checkFieldName(s)
	case "value":
		return checkFieldValue(s)
	}
	return nil
}

// checkAddress checks host:port. The host may be empty, an IP address, or a
// name, which isn't looked up.
func checkAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if _, err := netip.ParseAddr(s); err == nil {
			return fmt.Errorf("the port is missing; write %s", net.JoinHostPort(s, "6363"))
		}
		if strings.Count(s, ":") > 1 {
			return errors.New("want host:port; an IPv6 address stands in brackets, as in [::1]:6363")
		}
		return errors.New("want host:port, as in 127.0.0.1:6363, or :6363 for all addresses")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("the port must be a number from 0 to 65535")
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if strings.Trim(host, "0123456789.") == "" || strings.Contains(host, ":") {
		return errors.New("the host isn't an IP address")
	}
	if len(host) > 253 || strings.Trim(host, wordBytes+".") != "" {
		return errors.New("the host is neither an IP address nor a name; leave it empty for all addresses, as in :6363")
	}
	return nil
}

// checkNetwork checks an IP address or a network of them.
func checkNetwork(s string) error {
	if _, err := netip.ParseAddr(s); err == nil && !strings.Contains(s, "%") {
		return nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return errors.New("want a network, as in 10.0.0.0/8 or 2001:db8::/32, or an address")
	case p != p.Masked():
		return fmt.Errorf("bits are set behind the prefix; write %v", p.Masked())
	}
	return nil
}

// Network returns the network that a checked string names. An address is a
// network of its own.
func Network(s string) netip.Prefix {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, _ := netip.ParsePrefix(s)
	return p
}

// checkHost checks a host name, or *. and one.
func checkHost(s string) error {
	name := strings.TrimPrefix(s, "*.")
	switch {
	case strings.Contains(s, "://"), strings.Contains(s, "/"):
		return errors.New("want a host alone, as in example.org")
	case strings.Contains(name, "*"):
		return errors.New("a * stands only at the front, for all names below a host, as in *.example.org")
	case strings.ToLower(s) != s:
		return fmt.Errorf("hosts are written in lower case: %s", strings.ToLower(s))
	case strings.HasSuffix(s, "."):
		return errors.New("leave out the dot at the end")
	}
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil && name == s {
		if a.Is6() && !strings.HasPrefix(s, "[") {
			return fmt.Errorf("an IPv6 address stands in brackets: [%s]", s)
		}
		return nil
	}
	if strings.Contains(s, ":") {
		return errors.New("a port can't stand here: hosts are compared without it")
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, wordBytes) != "" {
			return errors.New("want a host name, as in example.org; names with other letters are written in their xn-- form")
		}
	}
	if len(s) > 253 {
		return errors.New("a host name has 253 bytes at most")
	}
	return nil
}

// checkPathPattern checks /exact, /below/* and *.suffix.
func checkPathPattern(s string) error {
	switch {
	case strings.HasPrefix(s, "*"):
		if len(s) == 1 || strings.ContainsAny(s[1:], "*/") {
			return errors.New("want the end of a path behind the *, as in *.php; leave the condition out to match all paths")
		}
		return nil
	case strings.HasSuffix(s, "*") && !strings.HasSuffix(s, "/*"):
		return errors.New("a * stands behind a /, as in /api/*, or at the front, as in *.php")
	case strings.Contains(strings.TrimSuffix(s, "*"), "*"):
		return errors.New("a * stands only at the end, as in /api/*, or at the front, as in *.php")
	}
	return checkPlainPath(strings.TrimSuffix(s, "*"))
}

// checkPlainPath checks a path that requests' paths are compared with: these
// have no dot segments and no double slashes.
func checkPlainPath(s string) error {
	switch {
	case !strings.HasPrefix(s, "/"):
		return errors.New("want a path, which begins with /")
	case strings.ContainsAny(s, "?#"):
		return errors.New("a path has no query here")
	case strings.ContainsFunc(s, isControl):
		return errors.New("a path has no control characters")
	case strings.Contains(s, "//"), strings.Contains(s+"/", "/../"), strings.Contains(s+"/", "/./"):
		return errors.New("it can never match: double slashes and dot segments are resolved before paths are compared")
	case strings.Contains(s, "%"):
		return errors.New("it is compared with the decoded path; write the characters themselves")
	}
	return nil
}

func checkPrefix(s string) error {
	if strings.HasSuffix(s, "/") || strings.Contains(s, "*") {
		return errors.New("want a path without a / or * at its end, as in /api")
	}
	return checkPlainPath(s)
}

// checkTarget checks a path with or without a query, as it stands in a request.
func checkTarget(s string) error {
	if u, err := url.ParseRequestURI(s); err != nil || !strings.HasPrefix(s, "/") || u.Host != "" || strings.ContainsAny(s, " #") || strings.ContainsFunc(s, isControl) {
		return errors.New("want a path, as in /healthz or /search?q=1")
	}
	return nil
}

// checkLocation checks an address with {host}, {path} and {uri} in it.
func checkLocation(s string) error {
	plain := strings.NewReplacer("{host}", "h", "{path}", "/", "{uri}", "/").Replace(s)
	switch _, err := url.Parse(plain); {
	case strings.ContainsAny(plain, "{}"):
		return errors.New("known in braces are {host}, {path} and {uri}")
	case err != nil, strings.ContainsFunc(s, isControl), strings.Contains(s, " "):
		return errors.New("want an address, as in https://www.example.org{uri}")
	case !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "{path}") && !strings.HasPrefix(s, "{uri}"):
		return errors.New("want an address that begins with https://, http:// or /")
	case strings.HasPrefix(plain, "//"):
		return errors.New("an address that begins with // leads to another host; write its scheme")
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("want an address, as in https://example.org/directory")
	}
	return nil
}

// checkUpstream checks http://host:port, https://host:port and unix:/path.
func checkUpstream(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case path == "" || strings.HasPrefix(path, "//"):
			return errors.New("want the path of a socket, as in unix:/run/app.sock")
		case len(path) > 107:
			return errors.New("the path of a socket has 107 bytes at most")
		}
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("want http://host:port, https://host:port or unix:/path")
	case u.User != nil:
		return errors.New("a user and a password can't stand here; set an Authorization field in the headers of the route")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("it has no path: requests keep theirs; a route's strip_prefix takes something off")
	}
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("the port must be a number from 1 to 65535")
	}
	return nil
}

// checkHeader checks a header field's name and value.
func checkHeader(name, value string) error {
	if err := checkFieldName(name); err != nil {
		return err
	}
	return checkFieldValue(value)
}

func checkFieldName(s string) error {
	if !isToken(s) {
		return errors.New("want the name of a header field, as in X-Frame-Options")
	}
	return nil
}

func checkFieldValue(s string) error {
	if strings.ContainsFunc(s, isControl) {
		return errors.New("a header field has no line ends and no other control characters")
	}
	return nil
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && strings.Trim(s, wordBytes+"!#$%&'*+.^`|~") == ""
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// checkText checks a key and its value in a map of strings.
func checkText(format, key, value string) error {
	if format == "header" {
		return checkHeader(key, value)
	}
	switch {
	case key == "":
		return errors.New("a name can't be empty")
	case strings.ContainsAny(key, "=\x00\n\r"):
		return errors.New("a name can't have = or a line end in it")
	case format == "ini" && strings.ContainsAny(key, " \t;[]\"'"):
		return errors.New("a PHP setting has a plain name, as in opcache.enable")
	case strings.ContainsRune(value, 0):
		return errors.New("a NUL can't stand in the value")
	case format == "ini" && strings.ContainsAny(value, "\n\r"):
		return errors.New("a PHP setting can't have a line end in it")
	}
	return nil
}
