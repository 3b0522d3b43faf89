package migrate

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rules returns the routes of what nginx runs before it chooses a location, or first in
// one: if, rewrite and return, in their order. done reports that no request is left.
// l is nil for a server.
func (m *migration) rules(s *site, within *scope, base match, l *location) (routes []*route, done bool) {
	for _, d := range within.own {
		switch d.Name {
		case "if":
			if m.done[d] || isTryIf(d) {
				continue
			}
			routes = append(routes, m.condition(d, base, l)...)
		case "rewrite":
			if m.done[d] || l != nil && l.kind == byName {
				continue
			}
			routes = append(routes, m.rewrite(s, d, base, l)...)
		case "return":
			m.done[d] = true
			r := &route{match: base}
			groups := 0
			if l != nil {
				groups = l.groups
			}
			if err := m.respond(d, within, groups, r); err != nil {
				r.comments = append(r.comments, m.comment(d, err.Error()))
				r.action = entry{key: "respond", value: flowOf("status", 404)}
			}
			m.responseFields(&location{scope: within, groups: groups}, r)
			m.accessLog(&location{scope: within}, r)
			return append(routes, r), true
		}
	}
	return routes, false
}

// isTryIf reports whether an if is the older form of try_files.
func isTryIf(d *directive) bool {
	return len(d.Args) == 2 && d.Arg(1) == "$request_filename)" && len(d.Block) == 1 && d.Block[0].Name == "rewrite" && rewriteScript(d.Block[0]) != ""
}

// respond gives a route what a return has.
func (m *migration) respond(d *directive, within *scope, groups int, r *route) error {
	status, err := 302, error(nil)
	text := last(d.Args)
	if status, err = strconv.Atoi(d.Arg(0)); err != nil {
		status, text = 302, d.Arg(0)
	} else if len(d.Args) == 1 {
		text = ""
	}
	switch {
	case status >= 301 && status <= 308 && status != 304 && text != "":
		to, err := expandGroups(text, groups)
		if err != nil {
			return err
		}
		b := &block{flow: true}
		b.set("to", absolute(to))
		if status != 302 {
			b.set("status", status)
		}
		r.action = entry{key: "redirect", value: b}
		return nil
	case status == 444:
		r.comments = append(r.comments, m.note(d, "mkd doesn't close the connection, but responds"))
		status = 403
	case status < 200 || status > 599:
		r.comments = append(r.comments, m.comment(d, "it is no status of HTTP"))
		status = 403
	}
	b := &block{flow: true}
	b.set("status", status)
	if text != "" {
		body, err := expandGroups(text, groups)
		if err != nil {
			return err
		}
		b.set("body", body)
	}
	if t := contentType(within); t != "" && text != "" && t != "text/plain" {
		b.set("content_type", t)
	}
	r.action = entry{key: "respond", value: b}
	return nil
}

// contentType returns the type of the body of a return.
func contentType(within *scope) string {
	for _, d := range within.here("add_header") {
		if len(d.Args) >= 2 && strings.EqualFold(d.Arg(0), "Content-Type") {
			return d.Arg(1)
		}
	}
	if t := within.word("default_type"); t != "" {
		return t
	}
	return ""
}

// rewritesAll are the regular expressions that match all paths.
var rewritesAll = map[string]bool{"^": true, "^/*": true, "^.*$": true, "^/.*$": true, "^(.*)$": true, "^/(.*)$": true, "^(.+)$": true, "^/(.+)$": true, ".*": true, "(.*)": true, ".": true}

// rewrite returns the routes of a rewrite that redirects, or that leads to another path;
// nil if there are none for it.
func (m *migration) rewrite(s *site, d *directive, base match, l *location) []*route {
	if len(d.Args) < 2 {
		return nil
	}
	flag := ""
	if len(d.Args) > 2 {
		flag = d.Arg(2)
	}
	unmoved := func(comment string) {
		if l != nil {
			l.comments = append(l.comments, comment)
		} else {
			s.comments = append(s.comments, comment)
		}
	}
	r := &route{match: base}
	re, not, note, err := translateRegexp(d.Arg(0), false)
	all := rewritesAll[d.Arg(0)]
	if err != nil || base.pathRegexp != "" && !all && !l.implied(d.Arg(0)) {
		unmoved(m.comment(d, errOr(err, "a route has one regular expression")))
		return nil
	}
	if note != "" {
		r.comments = append(r.comments, m.note(d, "%s", note))
	}
	groups := regexp.MustCompile(re).NumSubexp()
	text := d.Arg(1)
	keeps := !strings.HasSuffix(text, "?")
	text = strings.TrimSuffix(text, "?")
	to, err := expandGroups(text, groups)
	if err != nil {
		unmoved(m.comment(d, err.Error()))
		return nil
	}
	m.done[d] = true
	if !all || groupPattern.MatchString(d.Arg(1)) {
		r.match.pathRegexp, r.match.not.pathRegexp = re, not
	}
	external := strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "$scheme")
	if flag != "permanent" && flag != "redirect" && !external {
		return m.rewriteInside(s, d, r, re, text, to, l)
	}
	if keeps {
		if strings.Contains(to, "?") {
			r.comments = append(r.comments, m.note(d, "the client's query isn't added to that of the target"))
		}
		to = withQuery(to)
	}
	b := &block{flow: true}
	b.set("to", absolute(to))
	if flag == "permanent" {
		b.set("status", 301)
	}
	r.action = entry{key: "redirect", value: b}
	return []*route{r}
}

// implied reports whether paths that match a regular expression begin as a location by
// prefix demands.
func (l *location) implied(re string) bool {
	return l != nil && l.kind == byPrefix && strings.HasPrefix(re, "^"+regexp.QuoteMeta(l.pattern)) && !strings.Contains(re, "|")
}

// absolute puts the host in front of a target that begins with a group, whatever that
// is.
func absolute(to string) string {
	if strings.HasPrefix(to, "{re.") {
		return "{scheme}://{host}" + to
	}
	return to
}

// withQuery adds the query to the target of a redirect, unless it has one.
func withQuery(to string) string {
	if strings.Contains(to, "?") || strings.Contains(to, "{uri}") {
		return to
	}
	return to + "?{query}"
}

// rewriteInside leads paths to another path of the same server.
func (m *migration) rewriteInside(s *site, d *directive, r *route, re, text, to string, l *location) []*route {
	path, query, hasQuery := strings.Cut(to, "?")
	if strings.HasPrefix(path, "{re.") {
		path = "/" + path // of two slashes at the front one is left
	}
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "{path}") || strings.Contains(path, "{uri}") || strings.Contains(path, "{query}") || strings.ContainsAny(path, " #") {
		s.comments = append(s.comments, m.comment(d, "the path that it leads to isn't one of mkd's rewrite"))
		return nil
	}
	example := regexp.MustCompile(`\$\{?\w+\}?`).ReplaceAllString(strings.SplitN(text, "?", 2)[0], "x")
	target := s.find("/" + strings.TrimPrefix(example, "/"))
	if l != nil && (target == l || last(d.Args) == "break") {
		target = l
	}
	if target == nil || l != nil && target != l && l.kind == byRegexp {
		s.comments = append(s.comments, m.comment(d, "no location takes the path that it leads to"))
		return nil
	}
	b := &block{flow: true}
	b.set("path", path)
	if hasQuery {
		b.set("query", query+"&{query}")
	}
	r.options.set("rewrite", b)
	if next := followed(d, s, l, target); next != nil {
		r.comments = append(r.comments, m.note(d, "nginx then runs %s (%s), which mkd does only for the path of the client", shown(next), m.position(next)))
	}
	return m.guarded(s, target, r)
}

// followed returns what nginx runs after a rewrite to another path, nil for nothing: what
// follows in its block unless it has a flag, and what the location of that path begins
// with. l is nil for a rewrite of the server.
func followed(d *directive, s *site, l, target *location) *directive {
	within, flag := s.scope.own, ""
	if l != nil {
		within = l.scope.own
	}
	if len(d.Args) > 2 {
		flag = d.Arg(2)
	}
	if flag == "" {
		after := within[slices.Index(within, d)+1:]
		if end := slices.IndexFunc(after, func(d *directive) bool { return d.Name == "break" }); end >= 0 {
			return firstRule(after[:end], d)
		}
		if next := firstRule(after, d); next != nil {
			return next
		}
	}
	if target.d == nil || l != nil && flag == "break" {
		return nil
	}
	return firstRule(target.scope.own, d)
}

// firstRule returns the first of some directives that could apply to the path that a
// rewrite leads to.
func firstRule(among []*directive, rewrite *directive) *directive {
	for _, d := range among {
		switch {
		case d == rewrite:
		case d.Name == "return", d.Name == "if" && !isTryIf(d), d.Name == "rewrite" && len(d.Args) > 1 && mayMatch(d.Arg(0), rewrite.Arg(1)):
			return d
		}
	}
	return nil
}

// mayMatch reports whether a regular expression could match the path that a rewrite leads
// to, which may have groups.
func mayMatch(pattern, target string) bool {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return true
	}
	target, _, _ = strings.Cut(target, "?")
	before, _, groups := strings.Cut(target, "$")
	if !groups {
		return re.MatchString(target)
	}
	anchored, found := strings.CutPrefix(pattern, "^")
	if re, err = regexp.Compile(anchored); !found || err != nil {
		return true
	}
	prefix, _ := re.LiteralPrefix()
	return strings.HasPrefix(prefix, before) || strings.HasPrefix(before, prefix)
}

func errOr(err error, text string) string {
	if err != nil {
		return err.Error()
	}
	return text
}

// condition returns the routes of an if, which must have a return or a redirect in it.
func (m *migration) condition(d *directive, base match, l *location) []*route {
	reason := "mkd has conditions only in match of a route"
	c := base
	if routes := m.redirectMap(d, base); routes != nil {
		return routes
	}
	fields := slices.ContainsFunc(d.Block, func(d *directive) bool { return d.Name == "add_header" })
	body := slices.DeleteFunc(slices.Clone(d.Block), func(d *directive) bool { return needless(d) || d.Name == "add_header" })
	ok := len(body) == 1 && (body[0].Name == "return" || body[0].Name == "rewrite" && len(body[0].Args) > 2 && (body[0].Arg(2) == "permanent" || body[0].Arg(2) == "redirect"))
	groups := 0
	if ok {
		groups, ok = c.add(m, strings.TrimSuffix(strings.TrimPrefix(strings.Join(d.Args, " "), "("), ")"))
	}
	ok = ok && (!fields || body[0].Name == "return")
	r := &route{match: c}
	if !ok {
		r.comments = []string{m.comment(d, reason)}
		m.forget(d)
		return m.onlyComment(r, l)
	}
	m.done[d], m.done[body[0]] = true, true
	if strings.HasPrefix(d.Arg(0), "($request_uri") && d.Arg(1) != "=" {
		r.comments = append(r.comments, m.note(d, "the path is compared, decoded and without the query"))
	}
	if body[0].Name == "return" {
		err := m.respond(body[0], &scope{m: m, own: d.Block}, groups, r)
		if err != nil {
			r.comments = []string{m.comment(d, err.Error())}
			return m.onlyComment(r, l)
		}
		if to, isRedirect := r.action.value.(*block); isRedirect && r.action.key == "redirect" && groups > 0 {
			to.entries[0].value = withQuery(to.entries[0].value.(string)) // $request_uri has it
		}
		if fields {
			m.responseFields(&location{scope: &scope{m: m, own: d.Block}, groups: groups}, r)
		}
		return []*route{r}
	}
	quiet := &site{scope: &scope{m: m}}
	if made := m.rewrite(quiet, body[0], c, nil); made != nil {
		return made
	}
	r.comments = quiet.comments
	return m.onlyComment(r, l)
}

// onlyComment keeps the comments of a route that can't be made.
func (m *migration) onlyComment(r *route, l *location) []*route {
	if l != nil {
		l.comments = append(l.comments, r.comments...)
		return nil
	}
	m.unmoved = append(m.unmoved, r.comments...)
	return nil
}

var conditionPattern = regexp.MustCompile(`^\$(\w+)\s*(!?=|!?~\*?)\s*(.+)$`)

// add adds the condition of an if, and returns how many groups its regular expression
// has. It reports false if match has nothing like it.
func (c *match) add(m *migration, text string) (groups int, ok bool) {
	p := conditionPattern.FindStringSubmatch(strings.TrimSpace(text))
	if p == nil {
		name, ok := strings.CutPrefix(text, "$arg_")
		if ok && name != "" && !strings.Contains(name, " ") {
			c.query = append(slices.Clone(c.query), entry{key: name, value: "*"})
		}
		return 0, ok
	}
	name, sign, value := p[1], p[2], p[3]
	to := &c.conditions
	if strings.HasPrefix(sign, "!") {
		if !c.not.empty() {
			return 0, false
		}
		to, sign = &c.not, sign[1:]
	}
	methods, isList := listOf(value)
	switch {
	case name == "request_method" && sign == "=":
		to.methods = []string{value}
	case name == "request_method" && isList:
		to.methods = methods
	case (name == "host" || name == "http_host") && sign == "=" && !strings.Contains(value, ":"):
		to.hosts = []string{strings.ToLower(value)}
	case name == "host", name == "http_host", unmatched[name], strings.Contains(value, "$") && sign == "=":
		return 0, false
	case strings.HasPrefix(name, "http_") && sign == "=":
		to.headers = append(slices.Clone(to.headers), entry{key: fieldName(name[5:]), value: value})
	case strings.HasPrefix(name, "arg_") && sign == "=":
		to.query = append(slices.Clone(to.query), entry{key: name[4:], value: value})
	case name == "remote_addr" && sign == "=" && isNetwork(value):
		to.from = networks([]string{value})
	case name == "scheme" && sign == "=" && (value == "http" || value == "https"):
		return 0, c.scheme(m, value, to == &c.not)
	case (name == "uri" || name == "request_uri") && sign != "=" && to.pathRegexp == "" && len(to.paths) == 0:
		re, not, _, err := translateRegexp(strings.Trim(value, `"'`), sign == "~*")
		if err != nil || not != "" || name == "request_uri" && aboutQuery.MatchString(value) {
			return 0, false
		}
		to.pathRegexp = re
		groups = regexp.MustCompile(re).NumSubexp()
	default:
		return 0, false
	}
	return groups, true
}

// unmatched are fields about the connection, which routes don't see.
var unmatched = words("http_connection http_content_length http_keep_alive http_proxy_connection http_te http_trailer http_transfer_encoding http_upgrade")

// aboutQuery finds what a regular expression can only have for a query or an escape,
// neither of which is in the path that routes match.
var aboutQuery = regexp.MustCompile(`\\\?|\[\^?\?|[=&%]`)

// scheme adds the listeners that have a scheme.
func (c *match) scheme(m *migration, scheme string, not bool) bool {
	for _, l := range m.ports {
		if l.secure == (scheme == "https") != not {
			c.listeners = append(c.listeners, l.name)
		}
	}
	return len(c.listeners) > 0
}

// listOf returns the words of ^(GET|HEAD)$.
func listOf(re string) ([]string, bool) {
	inside := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(re, "^"), "$"), "("), ")")
	inside = strings.TrimPrefix(inside, "?:")
	list := strings.Split(inside, "|")
	for _, word := range list {
		if word == "" || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return nil, false
		}
	}
	return list, true
}
