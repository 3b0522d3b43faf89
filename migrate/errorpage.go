package migrate

import (
	"slices"
	"strconv"
	"strings"
)

// errorPages adds files for errors.
func (m *migration) errorPages(s *site, l *location, r *route) {
	pages := &block{flow: true}
	for _, d := range l.scope.nearest("error_page") {
		if s.missingFallsBack(m, d, r) {
			continue
		}
		file, reason := s.errorFile(m, d)
		if reason != "" {
			if !m.refused[d] {
				m.refused[d] = true
				r.comments = append(r.comments, m.comment(d, reason))
			}
			continue
		}
		for _, status := range statuses(d.Args[:len(d.Args)-1]) {
			if pages.get(status) == nil {
				pages.set(status, file)
			}
		}
	}
	intercept := l.scope.word("fastcgi_intercept_errors") == "on"
	intercept = l.scope.word("proxy_intercept_errors") == "on" || intercept
	if len(pages.entries) == 0 {
		return
	}
	b := flowOf("pages", pages)
	if intercept {
		b.set("intercept", true)
	}
	r.options.set("error_pages", b)
}

// missingFallsBack reports whether an error_page names a server for requests without a
// file, as in error_page 404 = @app, and makes it the route's fallback.
func (s *site) missingFallsBack(m *migration, d *directive, r *route) bool {
	if len(d.Args) != 3 || d.Arg(0) != "404" || d.Arg(1) != "=" || !r.onlyFiles || r.options.get("strip_prefix") != nil {
		return false
	}
	named := s.named(d.Arg(2))
	if named == nil {
		return false
	}
	lines := named.scope.here("proxy_pass")
	return len(lines) > 0 && m.fallback(s, named, lines[0], r)
}

// errorFile returns the file of an error_page, or why there is none for it.
func (s *site) errorFile(m *migration, d *directive) (file, reason string) {
	path := last(d.Args)
	switch {
	case slices.Contains(d.Args, "401") && !strings.HasPrefix(path, "/"):
		return "", "who isn't let in gets the response of the server that was asked; a redirect to a login page is for that server to send"
	case len(d.Args) < 2 || !strings.HasPrefix(path, "/") || strings.Contains(path, "$"):
		return "", "an error page is a file"
	case slices.ContainsFunc(d.Args, func(arg string) bool { return strings.HasPrefix(arg, "=") }):
		return "", "an error page keeps the status"
	case strings.HasSuffix(path, ".php"):
		return "", "an error page is a file, not a script"
	}
	l := s.find(path)
	if l == nil || l.runs() || l.passes() {
		return "", "no location has the file"
	}
	root, strip, ok := m.root(l, &route{})
	if !ok {
		return "", "no location has the file"
	}
	return cleanFolder(root) + strings.TrimPrefix(path, strip), ""
}

// statuses returns 5xx for the errors of servers, and other statuses as they are.
func statuses(list []string) (keys []string) {
	class := true
	for _, status := range []string{"500", "502", "503", "504"} {
		class = class && slices.Contains(list, status)
	}
	if class {
		keys = append(keys, "5xx")
	}
	for _, status := range list {
		if n, err := strconv.Atoi(status); err == nil && n >= 400 && n <= 599 && (!class || n < 500) {
			keys = append(keys, status)
		}
	}
	return keys
}
