package migrate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mkd/migrate/nginxconf"
)

// siteRoutes returns the routes of a server, in an order in which the first that matches
// does what nginx does.
func (m *migration) siteRoutes(s *site) []*route {
	rules, done := m.rules(s, s.scope, match{}, nil)
	if done {
		return rules
	}
	routes := rules
	var pending []string
	for _, l := range s.ordered() {
		if l.kind == byRegexp && l.re == nil {
			pending = append(pending, l.comments...)
			if refuses(l.d) {
				pending = append(pending, m.position(l.d)+": it refuses requests: its paths are open until you write a route for them")
			}
			m.forget(l.d)
			continue
		}
		made := m.location(s, l)
		if len(made) > 0 {
			made[0].comments = append(pending, made[0].comments...)
			pending = nil
		}
		routes = append(routes, made...)
	}
	for _, l := range s.locations {
		if l.kind == byName {
			s.comments = append(s.comments, l.scope.leftovers()...)
		}
	}
	return withoutRedundant(routes)
}

// refuses reports whether a block has a guard.
func refuses(d *nginxconf.Directive) bool {
	switch d.Name {
	case "deny", "auth_basic", "auth_request":
		return d.Arg(0) != "off"
	case "return":
		return strings.HasPrefix(d.Arg(0), "4")
	}
	return slices.ContainsFunc(d.Block, refuses)
}

// forget takes all that a directive has in it for done: a comment was made of the
// whole.
func (m *migration) forget(d *nginxconf.Directive) {
	m.done[d] = true
	for _, below := range d.Block {
		m.forget(below)
	}
}

// withoutRedundant leaves out routes that do the same as the last one, which takes all
// that is left, if those between them have other paths.
func withoutRedundant(routes []*route) []*route {
	end := routes[len(routes)-1]
	if !end.match.empty() {
		return routes
	}
	for i := len(routes) - 2; i >= 0; i-- {
		r := routes[i]
		apart := !slices.ContainsFunc(routes[i+1:len(routes)-1], func(other *route) bool { return !apart(&r.match, &other.match) })
		if r.same(end) && apart {
			end.comments = append(r.comments, end.comments...)
			routes = slices.Delete(routes, i, i+1)
		}
	}
	return routes
}

// location returns the routes of a location: those of its conditions and guards, and
// the one for all else.
func (m *migration) location(s *site, l *location) []*route {
	r := &route{match: s.match(l)}
	if l.d == nil {
		return m.finish(s, l, r, nil)
	}
	routes, done := m.rules(s, l.scope, r.match, l)
	r.comments = l.comments
	if done {
		end := routes[len(routes)-1]
		end.comments = append(append(l.comments, end.comments...), l.scope.leftovers()...)
		return routes
	}
	if len(l.scope.here("internal")) > 0 {
		m.internal(s, l, r)
		r.comments = append(r.comments, l.scope.leftovers()...)
		return append(routes, r)
	}
	return m.finish(s, l, r, routes)
}

// finish adds a location's guards, and the route for requests that pass them.
func (m *migration) finish(s *site, l *location, r *route, routes []*route) []*route {
	routes = append(routes, m.guarded(s, l, r)...)
	if l.d != nil {
		r.comments = append(r.comments, l.scope.leftovers()...)
	}
	return routes
}

// serve gives a route its backend. It returns routes that must come before it.
func (m *migration) serve(s *site, l *location, r *route) []*route {
	for _, d := range l.scope.own {
		switch d.Name {
		case "fastcgi_pass":
			m.done[d] = true
			m.fastcgi(s, l, l, r, nil)
			return nil
		case "proxy_pass":
			m.done[d] = true
			m.proxy(s, l, d, r)
			return nil
		case "grpc_pass":
			m.done[d] = true
			m.grpc(s, d, r)
			return nil
		case "uwsgi_pass", "scgi_pass", "memcached_pass":
			r.comments = append(r.comments, m.comment(d, reasonFor(d)))
			r.action = entry{key: "respond", value: flowOf("status", 502)}
			return nil
		}
	}
	return m.static(s, l, r)
}

// static serves files, and scripts where files lead to one.
func (m *migration) static(s *site, l *location, r *route) []*route {
	try, script, named := m.tryFiles(s, l, r)
	var pass *directive // of the named location
	if named != nil {
		d := l.scope.here("try_files")[0]
		switch lines := named.scope.here("proxy_pass"); {
		case len(lines) == 0:
			r.comments = append(r.comments, m.comment(d, "try ends with a path or =404, not with "+last(d.Args)))
		case len(l.scope.here("alias")) > 0 || l.scope.last("root") == nil:
			r.comments = append(r.comments, m.note(d, "mkd would look for a file without a part of the path, and then ask the server without it; give the files a route of their own"))
			m.proxy(s, named, lines[0], r)
			return nil
		default:
			pass = lines[0]
		}
	}
	root, strip, ok := m.root(l, r)
	if !ok {
		return nil
	}
	r.options.strip(strip)
	php := s.scriptsOf(l, script)
	for _, d := range l.scope.here("try_files") {
		if end := s.named(last(d.Args)); php == nil && script != "" && end != nil && end.runs() {
			php = end
		}
	}
	if php != nil {
		m.fastcgi(s, l, php, r, try)
		return s.unlessGeneric(l, php)
	}
	if other := s.find(script); script != "" && other != nil && other != l && other.kind != byRegexp {
		r.comments = append(r.comments, m.note(l.tries(), "nginx serves %s by a location of its own, with the fields of that", script))
	}
	b := &block{}
	b.set("root", root)
	index := slices.DeleteFunc(m.index(l), func(name string) bool { return strings.HasSuffix(name, ".php") })
	if l.kind == byPrefix && len(index) > 0 && !slices.Equal(index, []string{"index.html"}) {
		b.set("index", index)
	}
	if i := slices.IndexFunc(try, func(entry string) bool { return strings.HasSuffix(entry, ".php") }); i >= 0 {
		r.comments = append(r.comments, m.note(l.tries(), "no location runs %s", try[i]))
		try = slices.DeleteFunc(try, func(entry string) bool { return strings.HasSuffix(entry, ".php") })
	}
	if len(try) > 0 && !slices.Equal(try, []string{"{path}", "{path}/"}) {
		b.set("try", try)
	}
	if l.scope.word("autoindex") == "on" {
		b.set("browse", true)
	}
	if l.scope.word("gzip_static") == "on" {
		b.set("precompressed", []string{"gzip"})
	}
	m.fileOptions(l, b, r)
	name := "files"
	if b.get("cache_control") != nil {
		name = "assets"
	}
	r.backend(m.add(s, "files", name, b))
	r.onlyFiles = true
	if pass != nil {
		m.fallback(s, named, pass, r)
	}
	return nil
}

// guards are the directives by which a location refuses some requests. A fallback has no
// rules of its own, so a named location with one of them isn't made one.
var guards = map[string]bool{
	"allow": true, "deny": true, "satisfy": true, "auth_basic": true, "auth_request": true, "auth_jwt": true,
	"limit_except": true, "limit_req": true, "limit_conn": true, "if": true, "return": true,
}

// fallback has a named location's server respond where there is no file. It reports
// whether that can be moved.
func (m *migration) fallback(s *site, named *location, pass *directive, r *route) bool {
	for _, d := range named.scope.own {
		if guards[d.Name] {
			r.comments = append(r.comments, fmt.Sprintf("the location %s has %s, which a fallback can't have: where there is no file the response is 404. Guard the whole route and add fallback: BACKEND, or give the location's requests a route of their own", named.pattern, d.Name))
			return false
		}
	}
	other := &route{}
	m.proxy(s, named, pass, other)
	r.comments = append(r.comments, other.comments...)
	if other.action.key != "backend" {
		return false
	}
	r.options.front("fallback", other.action.value)
	for _, e := range other.options.entries {
		if r.options.get(e.key) == nil {
			r.options.entries = append(r.options.entries, e)
		}
	}
	r.onlyFiles = false
	return true
}

// backend leads a route to a backend.
func (r *route) backend(name string) {
	r.action = entry{key: "backend", value: name}
	r.serves = true
}

func (b *block) strip(prefix string) {
	if prefix != "" {
		b.set("strip_prefix", prefix)
	}
}

// fileOptions adds what concerns the responses with files.
func (m *migration) fileOptions(l *location, b *block, r *route) {
	if c := m.cacheControl(l, r); c != "" {
		b.set("cache_control", c)
	}
	if c := l.scope.word("charset"); c != "" && c != "off" {
		b.set("charset", c)
	}
}

// index returns the index of a location.
func (m *migration) index(l *location) []string {
	d := l.scope.last("index")
	if d == nil {
		return []string{"index.html"}
	}
	var names []string
	for _, name := range d.Args {
		if !strings.ContainsAny(name, "$/") {
			names = append(names, name)
		}
	}
	return names
}

// root returns the folder of a location, and the prefix that isn't a part of paths in
// it. It reports false if there is none, and has let the route respond then.
func (m *migration) root(l *location, r *route) (root, strip string, ok bool) {
	refuse := func(comment string) (string, string, bool) {
		r.comments = append(r.comments, comment)
		r.action = entry{key: "respond", value: flowOf("status", 404)}
		return "", "", false
	}
	if at := l.aliased(); at != nil {
		d := at.scope.here("alias")[0]
		alias := last(d.Args)
		switch l := at; {
		case l.kind == byRegexp, strings.ContainsRune(alias, '$'):
			return refuse(m.comment(d, "a backend has one folder, and no variables"))
		case l.kind == byPrefix:
			return cleanFolder(alias), strings.TrimSuffix(l.pattern, "/"), true
		case path.Base(alias) == path.Base(l.pattern):
			return path.Dir(alias), strings.TrimSuffix(path.Dir(l.pattern), "/"), true
		}
		r.comments = append(r.comments, m.note(d, "the file has another name than the path"))
		r.action = entry{key: "respond", value: flowOf("file", alias)}
		return "", "", false
	}
	d := l.scope.last("root")
	switch {
	case d == nil:
		return refuse("no root is set; nginx serves the folder that it was built with")
	case strings.ContainsRune(last(d.Args), '$'):
		return refuse(m.comment(d, "a backend has one folder, and no variables"))
	}
	return cleanFolder(last(d.Args)), "", true
}

// aliased returns the location whose alias a location has: itself, or one that it is
// nested in; nil if there is none.
func (l *location) aliased() *location {
	for ; l != nil; l = l.outer {
		for _, d := range l.scope.own {
			if d.Name == "alias" {
				return l
			} else if d.Name == "root" {
				return nil
			}
		}
	}
	return nil
}

func cleanFolder(folder string) string {
	if folder == "/" {
		return folder
	}
	return strings.TrimRight(folder, "/")
}
