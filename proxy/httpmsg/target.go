package httpmsg

import (
	"errors"
	"net/url"
	"strings"
)

// target reads the request's target, which is in origin form or in absolute
// form (RFC 9112, section 3.2).
func (p *Parser) target() error {
	target := p.r.RequestURI
	if err := checkTarget(target); err != nil {
		return atLine(err, 1)
	}
	switch {
	case target == "":
		return bad(1, "the target is missing: a path, which begins with a slash")
	case target[0] == '/':
	case target == "*":
		return bad(1, "the target *: there is nothing to ask of the server as a whole")
	default:
		if err := checkAbsolute(target); err != nil {
			return err
		}
	}
	if path, query, marked := strings.Cut(target, "?"); isClean(path) { // as most are
		p.url = url.URL{Path: path, RawQuery: query, ForceQuery: marked && query == ""}
		p.r.URL = &p.url
		return nil
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		var escape url.EscapeError
		if errors.As(err, &escape) {
			return bad(1, "a broken escape in the target, %s: a percent sign itself is %%25", quote(string(escape)))
		}
		return bad(1, "the target isn't a URL")
	}
	p.url = *u
	p.r.URL = &p.url
	return nil
}

// checkTarget checks the bytes of a target.
func checkTarget(target string) error {
	for i := range len(target) {
		switch c := target[i]; {
		case c == ' ':
			return bad(0, "a space in the target: write %%20")
		case isControl(c), c > 0x7f:
			return bad(0, "the byte 0x%02x in the target: write %%%02X", c, c)
		case c == '#':
			return bad(0, "a fragment in the target: what begins with # stays with the client")
		}
	}
	return nil
}

// checkAbsolute checks a target that is a whole URL.
func checkAbsolute(target string) error {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return bad(1, "the target is %s: it is a path, which begins with a slash, or an http or https URL", quote(target))
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	_, _, err := splitHost(authority)
	return atLine(err, 1)
}

// checkHost checks that there is a host, and only one.
func (p *Parser) checkHost() error {
	field, ok := p.r.Header["Host"]
	delete(p.r.Header, "Host")
	if !ok && p.r.ProtoMinor == 1 {
		return bad(0, "the Host field is missing, which HTTP/1.1 demands")
	}
	switch p.r.Host = p.url.Host; {
	case !ok:
	case p.r.Host == "":
		p.r.Host = field[0]
	case !sameHost(p.url.Scheme, p.r.Host, field[0]):
		return bad(0, "the target's host is %s, and the Host field is %s", quote(p.r.Host), quote(field[0]))
	}
	return nil
}

// sameHost compares two hosts that are known to be well formed.
func sameHost(scheme, a, b string) bool {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return equalFold(strings.TrimSuffix(a, port), strings.TrimSuffix(b, port))
}
