package main

import (
	"net/http"
	"strings"
)

// names translates a site's name in header fields to the local one, and back.
type names struct {
	site  string // host of the site, as checkHost returns it
	local string // host of the local server, with its port
}

// request translates the local URLs in the fields of a request, which sites
// compare with their own.
func (n names) request(h http.Header) {
	for _, name := range []string{"Origin", "Referer"} {
		for i, v := range h[name] {
			if rest, ok := strings.CutPrefix(v, "http://"+n.local); ok && (rest == "" || rest[0] == '/') {
				h[name][i] = "https://" + n.site + rest
			}
		}
	}
}

// response translates the site's URLs and cookies in the fields of a response.
func (n names) response(h http.Header) {
	for _, name := range []string{"Location", "Content-Location"} {
		for i, v := range h[name] {
			h[name][i] = n.url(v)
		}
	}
	for i, v := range h["Set-Cookie"] {
		h["Set-Cookie"][i] = n.cookie(v)
	}
	// They are about the site's own host and its HTTPS.
	h.Del("Strict-Transport-Security")
	h.Del("Alt-Svc")
}

// url returns a URL with the local host in the place of the site's. Other URLs,
// and paths, stay as they are.
func (n names) url(s string) string {
	scheme, rest, ok := strings.Cut(s, "//")
	if !ok || scheme != "" && !strings.EqualFold(scheme, "https:") && !strings.EqualFold(scheme, "http:") {
		return s
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, err := checkHost(strings.ToLower(strings.TrimSuffix(scheme, ":")), rest[:end])
	if err != nil || !strings.EqualFold(host, n.site) {
		return s
	}
	return "http://" + n.local + rest[end:]
}

// cookie returns a Set-Cookie without what keeps a browser from taking it for
// the local host: the site's domain, and Secure with what needs it. Names that
// begin with __Host- or __Secure- need Secure, which browsers take from a local
// host without HTTPS. The path stays, since paths are the same.
func (n names) cookie(s string) string {
	parts := strings.Split(s, ";")
	needsSecure := hasPrefixFold(parts[0], "__Host-") || hasPrefixFold(parts[0], "__Secure-")
	kept := parts[:1]
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case name == "domain" && n.within(value):
		case !needsSecure && (name == "secure" || name == "partitioned" || name == "samesite" && strings.EqualFold(value, "none")):
		default:
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ";")
}

// within reports whether the site is in a cookie's domain (RFC 6265, section
// 5.1.3). A browser refuses a cookie of another domain, and shall go on doing so.
func (n names) within(domain string) bool {
	domain = strings.ToLower(strings.TrimPrefix(domain, "."))
	site := strings.ToLower(hostOf(n.site))
	return domain == "" || site == domain || strings.HasSuffix(site, "."+domain)
}

func hasPrefixFold(s, prefix string) bool {
	s = strings.TrimSpace(s)
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
