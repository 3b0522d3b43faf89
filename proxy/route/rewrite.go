package route

import (
	"cmp"
	"net/url"
	"regexp"
	"strings"

	"mkd/config"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// rewrite is what a route does to the path and the query.
type rewrite struct {
	path        *template // nil: it stays
	regexp      *regexp.Regexp
	to          *template
	prefix      string
	query       *template // nil: it stays
	removeQuery bool
}

// newRewrite returns nil if there is nothing to do.
func newRewrite(c *config.Rewrite, groups expressions) *rewrite {
	if c == nil {
		return nil
	}
	rw := &rewrite{prefix: (&url.URL{Path: c.AddPrefix}).EscapedPath(), removeQuery: c.RemoveQuery}
	if c.Path != "" {
		rw.path = newTemplate(c.Path, asURL, groups)
	}
	if c.Regexp != "" {
		rw.regexp = pathRegexp(c.Regexp)
		rw.to = newTemplate(c.To, asURL, append(expressions{rw.regexp}, groups...))
	}
	if c.Query != "" {
		rw.query = newTemplate(c.Query, asQuery, groups)
	}
	return rw
}

// change changes a request as the route demands.
func (rt *route) change(r *request.Request) error {
	changes, done := rt.request.expand(r), rt.rewrite.prepare(r)
	prefix := rt.cfg.StripPrefix
	if prefix != "" && stripPrefix(r.URL, prefix) {
		r.Prefix = prefix
	}
	if rt.cfg.RawPath {
		useWritten(r.URL, r.Written, r.Prefix)
	}
	if rt.rewrite != nil {
		if err := done.apply(r); err != nil {
			return err
		}
	}
	if p, ok := rt.backend.(request.Preparer); ok {
		p.Prepare(r)
	}
	if changes != nil {
		r.HostSet = changes.applyRequest(r.Request)
	}
	return nil
}

// rewritten is what a request gets by a rewrite.
type rewritten struct {
	path   string // ""; it stays
	prefix string
	query  string
}

// prepare returns what a request gets. Nothing of the request is changed yet, so that
// placeholders have what the client sent.
func (rw *rewrite) prepare(r *request.Request) (to rewritten) {
	if rw == nil {
		return to
	}
	to.prefix, to.query = rw.prefix, r.URL.RawQuery
	switch {
	case rw.path != nil:
		to.path = rw.path.expand(r)
	case rw.regexp != nil && rw.regexp.MatchString(r.Path):
		to.path = rw.to.expand(r)
	}
	if rw.removeQuery {
		to.query = ""
	} else if rw.query != nil {
		to.query = strings.Trim(rw.query.expand(r), "&")
	}
	return to
}

// apply changes the URL of a request.
func (to *rewritten) apply(r *request.Request) error {
	r.KeepAskedURI()
	path := cmp.Or(to.path, r.URL.EscapedPath())
	if to.prefix != "" && path == "/" {
		path = to.prefix + "/"
	} else {
		path = to.prefix + path
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." || segment == "." {
			return request.Malformed("the path would have a dot segment") // made of parts of a name
		}
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return request.Malformed("the path would have a broken escape")
	}
	u := &url.URL{Path: decoded, RawPath: path, RawQuery: to.query}
	if err := httpmsg.CleanPath(u); err != nil {
		return err
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery = u.Path, u.RawPath, u.RawQuery, false
	return nil
}

// stripPrefix takes a prefix off a path, and reports whether it was there. What
// is left begins with a slash.
func stripPrefix(u *url.URL, prefix string) bool {
	rest, ok := cutEscaped(u.EscapedPath(), prefix)
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

// cutEscaped takes a prefix, which isn't escaped, off an escaped path, in whatever way that
// writes it: parentheses, say, may be escaped or not. An escaped slash is no slash.
func cutEscaped(path, prefix string) (rest string, ok bool) {
	for i := range len(prefix) {
		n, c := 1, ""
		if strings.HasPrefix(path, "%") {
			n = 3
		}
		if len(path) >= n {
			c, _ = url.PathUnescape(path[:n])
		}
		if c != prefix[i:i+1] || c == "/" && n > 1 {
			return "", false
		}
		path = path[n:]
	}
	return path, true
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
	usual := strings.HasPrefix(written, prefix) || strings.HasPrefix(written, (&url.URL{Path: prefix}).EscapedPath())
	if prefix == "" || usual && stripPrefix(rest, prefix) {
		u.Path, u.RawPath = rest.Path, rest.RawPath
	}
}
