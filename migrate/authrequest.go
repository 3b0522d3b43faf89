package migrate

import (
	"slices"
	"strings"
)

// authRequest asks the server about each request that the location of an auth_request
// asks.
func (m *migration) authRequest(s *site, l *location, r *route) {
	d := l.scope.last("auth_request")
	if d == nil || d.Arg(0) == "off" {
		return
	}
	refuse := func(reason string) {
		r.comments = append(r.comments, m.comment(d, reason+"; all requests are refused"))
		r.action, r.options = entry{key: "respond", value: flowOf("status", 403)}, block{}
	}
	to := s.find(d.Arg(0))
	if to == nil {
		refuse("there is no location for it")
		return
	}
	pass := to.scope.here("proxy_pass")
	if len(pass) == 0 {
		refuse("the location that it asks has no proxy_pass")
		return
	}
	t, ok := parseTarget(pass[0].Arg(0))
	if u := m.upstreams[t.authority]; u != nil {
		if ok = len(u.servers) > 0; ok {
			t.authority = u.servers[0].address
		}
	}
	if !ok || strings.HasPrefix(t.authority, "unix:") || strings.Contains(t.uri, "$") {
		refuse("the URL of the server that is asked has no variables, and is no socket")
		return
	}
	if !t.hasURI {
		t.uri = d.Arg(0)
	}
	forward := &block{flow: true}
	forward.set("url", t.scheme+"://"+t.authority+t.uri)
	if names := m.copied(l, r); len(names) > 0 {
		forward.set("copy", names)
	}
	r.options.set("auth", flowOf("forward", forward))
}

// copied returns the fields of the server's response that the request gets, by
// auth_request_set and proxy_set_header.
func (m *migration) copied(l *location, r *route) (names []string) {
	for _, d := range l.scope.nearest("auth_request_set") {
		field, ok := strings.CutPrefix(d.Arg(1), "$upstream_http_")
		name := fieldName(field)
		used := func(set *directive) bool { return set.Arg(1) == d.Arg(0) && strings.EqualFold(set.Arg(0), name) }
		if ok && slices.ContainsFunc(l.scope.nearest("proxy_set_header"), used) {
			names = append(names, name)
		} else {
			r.comments = append(r.comments, m.comment(d, "auth: {forward: {copy: [...]}} copies fields to the request under their own names"))
		}
	}
	return names
}

// asks reports whether an auth_request among directives has a path.
func asks(all []*directive, path string) bool {
	return slices.ContainsFunc(all, func(d *directive) bool {
		return d.Name == "auth_request" && d.Arg(0) == path || asks(d.Block, path)
	})
}
