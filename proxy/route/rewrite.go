package route

import (
	"net/url"
	"strings"

	"mkd/proxy/request"
)

// rewrite changes a request as the route demands.
func (rt *route) rewrite(r *request.Request) {
	prefix := rt.cfg.StripPrefix
	if prefix != "" && stripPrefix(r.URL, prefix) {
		r.Prefix = prefix
	}
	if rt.cfg.RawPath {
		useWritten(r.URL, r.Written, r.Prefix)
	}
	if p, ok := rt.backend.(request.Preparer); ok {
		p.Prepare(r)
	}
	if rt.request != nil {
		r.HostSet = rt.request.applyRequest(r.Request)
	}
}

// stripPrefix takes a prefix off a path, and reports whether it was there. What
// is left begins with a slash.
func stripPrefix(u *url.URL, prefix string) bool {
	rest, ok := strings.CutPrefix(u.EscapedPath(), (&url.URL{Path: prefix}).EscapedPath())
	if !ok || rest != "" && rest[0] != '/' {
		return false
	}
	if rest == "" {
		rest = "/"
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return false
	}
	u.Path, u.RawPath = path, rest
	return true
}

// useWritten makes the path of a URL the one that the client wrote, without the
// prefix that was taken off it. The URL stays as it is if there is no such path,
// or if the prefix is written in another way.
func useWritten(u *url.URL, written, prefix string) {
	if written == "" {
		return
	}
	rest := &url.URL{}
	var err error
	if rest.Path, err = url.PathUnescape(written); err != nil {
		return
	}
	rest.RawPath = written
	if prefix == "" || stripPrefix(rest, prefix) {
		u.Path, u.RawPath = rest.Path, rest.RawPath
	}
}
