package backend

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// inside rewrites the parts of a response that reveal where the
// upstream is, for a client that reaches it only through mkd.
type inside struct {
	asked    string   // the Host that the client asked for
	prefix   string   // of the path, which the route removed, escaped
	upstream hostPort // where the request went to; zero for a socket
	seen     hostPort // the Host that the upstream saw
}

// hostPort is a host in lower case and its port. Port "" is the default of either
// scheme.
type hostPort struct{ host, port string }

func parseHostPort(s string) hostPort {
	s = strings.ToLower(s)
	if host, port, err := net.SplitHostPort(s); err == nil {
		return hostPort{strings.TrimSuffix(host, "."), port}
	}
	return hostPort{strings.TrimSuffix(strings.Trim(s, "[]"), "."), ""}
}

// upstreamOf returns where an upstream's URL leads.
func upstreamOf(address string) hostPort {
	scheme, authority, ok := strings.Cut(address, "://")
	if !ok {
		return hostPort{}
	}
	h := parseHostPort(strings.TrimSuffix(authority, "/"))
	if h.port == "" {
		h.port = defaultPort(scheme)
	}
	return h
}

func defaultPort(scheme string) string {
	if scheme == "https" || scheme == "h2" {
		return "443"
	}
	return "80"
}

// revealing reports whether a header has fields that inside rewrites.
func revealing(h http.Header, cookies bool) bool {
	return h["Location"] != nil || h["Refresh"] != nil || cookies && h["Set-Cookie"] != nil
}

// header rewrites Location and Refresh, and cookies if that is asked for.
func (in *inside) header(h http.Header, cookies bool) {
	for i, v := range h["Location"] {
		h["Location"][i] = in.location(v)
	}
	for i, v := range h["Refresh"] {
		h["Refresh"][i] = in.refresh(v)
	}
	if cookies {
		for i, v := range h["Set-Cookie"] {
			h["Set-Cookie"][i] = in.cookie(v)
		}
	}
}

// location rewrites a URL that leads to the upstream itself, or to the Host that the
// client asked for, which the upstream knows from X-Forwarded-Host if it isn't its own.
// Of one with a host the path is left, unless the host is the one that the client asked
// for; a path gets the prefix back. URLs that are relative to the request's, or lead
// elsewhere, stay.
func (in *inside) location(s string) string {
	scheme, authority, path, absolute := cutURL(s)
	if !absolute {
		if !strings.HasPrefix(s, "/") {
			return s
		}
		return in.path(s)
	}
	if authority != "" && strings.EqualFold(authority, in.asked) {
		if in.prefix == "" {
			return s
		}
		return s[:len(s)-len(path)] + in.path(orSlash(path))
	}
	at := parseHostPort(authority)
	if at.port == "" {
		at.port = defaultPort(scheme)
	}
	if at != in.upstream && !in.isSeen(at) {
		return s
	}
	return in.path("/" + strings.TrimLeft(path, "/\\\t")) // not //, which would lead to another host; browsers drop tabs
}

// isSeen reports whether a URL's host and port are those of the Host that the
// upstream saw.
func (in *inside) isSeen(at hostPort) bool {
	if at.host != in.seen.host {
		return false
	}
	return at.port == in.seen.port || in.seen.port == "" && (at.port == "80" || at.port == "443")
}

// path returns a path with the prefix in front, unless it has it already.
func (in *inside) path(path string) string {
	if rest, has := strings.CutPrefix(path, in.prefix); has && (rest == "" || strings.IndexByte("/?#", rest[0]) >= 0) {
		return path
	}
	return in.prefix + path
}

// orSlash returns what follows the host of a URL, with a path.
func orSlash(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// cutURL splits a URL with a host into its scheme in lower case, its authority,
// and the rest. Without a scheme, as in //example.org/, it is http.
func cutURL(s string) (scheme, authority, rest string, ok bool) {
	scheme = "http"
	switch lower := strings.ToLower(s[:min(len(s), len("https://"))]); {
	case strings.HasPrefix(lower, "http://"):
		rest = s[len("http://"):]
	case lower == "https://":
		scheme, rest = "https", s[len("https://"):]
	case strings.HasPrefix(lower, "//"):
		rest = s[len("//"):]
	default:
		return "", "", "", false
	}
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		end = len(rest)
	}
	return scheme, rest[:end], rest[end:], true
}

// refresh rewrites the URL of a Refresh field, as in "5; url=/next".
func (in *inside) refresh(s string) string {
	i := strings.Index(strings.ToLower(s), "url=")
	if i < 0 || len(strings.ToLower(s)) != len(s) {
		return s
	}
	i += len("url=")
	before, to := s[:i], s[i:]
	if to != "" && (to[0] == '"' || to[0] == '\'') {
		if end := strings.IndexByte(to[1:], to[0]); end >= 0 {
			return before + to[:1] + in.location(to[1:1+end]) + to[1+end:]
		}
	}
	return before + in.location(to)
}

// cookie rewrites the Domain and the Path of a Set-Cookie field (RFC 6265, section
// 4.1). A Domain that is the upstream's and not the client's goes: clients would
// refuse the cookie.
func (in *inside) cookie(s string) string {
	parts := strings.Split(s, ";")
	kept := parts[:1]
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		value = strings.TrimSpace(value)
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, "Domain"):
			domain := strings.ToLower(strings.TrimPrefix(value, "."))
			if !domainCovers(domain, parseHostPort(in.asked).host) && (domainCovers(domain, in.upstream.host) || domainCovers(domain, in.seen.host)) {
				continue
			}
		case strings.EqualFold(name, "Path") && in.prefix != "" && strings.HasPrefix(value, "/") && !strings.HasPrefix(strings.TrimSpace(s), "__Host-"):
			part = " Path=" + in.prefix
			if value != "/" {
				part = " Path=" + in.path(value)
			}
		}
		kept = append(kept, part)
	}
	return strings.Join(kept, ";")
}

// domainCovers reports whether a host is a domain or below it. Nothing is below
// an address.
func domainCovers(domain, host string) bool {
	if domain == host {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err != nil && domain != "" && strings.HasSuffix(host, "."+domain)
}
