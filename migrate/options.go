package migrate

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// nearestOf returns the directives of two names of the innermost block that has one of
// them, in their order.
func nearestOf(s *scope, names ...string) (found []*directive) {
	for ; s != nil && len(found) == 0; s = s.outer {
		for _, d := range s.own {
			if slices.Contains(names, d.Name) {
				s.m.done[d] = true
				found = append(found, d)
			}
		}
	}
	return found
}

// options adds the options of a route that has a backend.
func (m *migration) options(s *site, l *location, r *route) {
	m.responseFields(l, r)
	m.accessLog(l, r)
	if !r.serves {
		return
	}
	if l.scope.word("gzip") == "on" {
		l.scope.nearest("gzip_types")
		l.scope.nearest("gzip_min_length")
		r.options.set("compress", true)
	}
	if d := l.scope.last("client_max_body_size"); d != nil {
		switch n := size(d.Arg(0)); n {
		case "":
			r.comments = append(r.comments, m.comment(d, "it isn't a size"))
		case "0B":
			r.options.set("max_body", 0)
		case "100MiB":
		default:
			r.options.set("max_body", n)
		}
	}
	m.rateLimit(l, r)
	m.auth(s, l, r)
	m.errorPages(s, l, r)
}

// accessLog has a location's requests make no line, unless none of all sites do.
func (m *migration) accessLog(l *location, r *route) {
	for within := l.scope; within != nil; within = within.outer {
		i := slices.IndexFunc(within.own, func(d *directive) bool { return d.Name == "access_log" })
		if i < 0 {
			continue
		}
		if within.own[i].Arg(0) == "off" {
			m.done[within.own[i]] = true
			if !m.unlogged {
				r.options.set("access_log", false)
			}
		}
		return
	}
}

// auth asks for a password, or another server.
func (m *migration) auth(s *site, l *location, r *route) {
	m.authRequest(s, l, r)
	realm, file := l.scope.word("auth_basic"), l.scope.word("auth_basic_user_file")
	if realm == "" || realm == "off" || file == "" {
		return
	}
	basic := &block{flow: true}
	basic.set("users_file", file)
	basic.set("realm", plainRealm(realm))
	r.options.set("auth", flowOf("basic", basic))
	r.comments = append(r.comments, m.note(l.scope.last("auth_basic_user_file"), "mkd takes hashes by bcrypt and Argon2id alone, as of htpasswd -B"))
}

// plainRealm returns a realm with the letters alone that mkd takes.
func plainRealm(realm string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, realm)
}

// rateLimit limits the rate of requests.
func (m *migration) rateLimit(l *location, r *route) {
	for i, d := range l.scope.nearest("limit_req") {
		burst, name := 0, ""
		for _, arg := range d.Args {
			if v, ok := strings.CutPrefix(arg, "burst="); ok {
				burst, _ = strconv.Atoi(v)
			}
			if v, ok := strings.CutPrefix(arg, "zone="); ok {
				name = v
			}
		}
		zone := m.zones[name]
		if zone == nil || i > 0 {
			r.comments = append(r.comments, m.comment(d, "a route has one rate limit, of a zone that is defined"))
			continue
		}
		rate := 0.0
		for _, arg := range zone.Args {
			if v, ok := strings.CutPrefix(arg, "rate="); ok {
				number, minute := strings.CutSuffix(v, "r/m")
				rate, _ = strconv.ParseFloat(strings.TrimSuffix(number, "r/s"), 64)
				if minute {
					rate /= 60
				}
			}
		}
		by := map[string]string{"$binary_remote_addr": "client", "$remote_addr": "client", "$server_name": "all", "$host": "all"}[zone.Arg(0)]
		field, isField := strings.CutPrefix(zone.Arg(0), "$http_")
		if isField && field != "" {
			by = "header"
		}
		if by == "" || rate <= 0 {
			r.comments = append(r.comments, m.comment(d, "a rate limit is by the client's address or a field, or for all requests of a route"))
			continue
		}
		if burst > 0 && !slices.ContainsFunc(d.Args, func(arg string) bool { return strings.HasPrefix(arg, "nodelay") || strings.HasPrefix(arg, "delay=") }) {
			r.comments = append(r.comments, m.note(d, "requests of a burst don't wait for their turn"))
		}
		b := &block{flow: true}
		if whole := int(rate); float64(whole) == rate {
			b.set("rate", whole)
		} else {
			b.set("rate", float64(int(rate*10000+0.5))/10000)
		}
		if burst > 0 {
			b.set("burst", burst+1)
		}
		if by != "client" {
			b.set("by", by)
		}
		if by == "header" {
			b.set("header", fieldName(field))
		}
		r.options.set("rate_limit", b)
		l.scope.nearest("limit_req_status")
		l.scope.nearest("limit_req_log_level")
	}
}

// cacheControl returns the Cache-Control of files, as expires and add_header have it.
func (m *migration) cacheControl(l *location, r *route) string {
	var parts []string
	if d := l.scope.last("expires"); d != nil {
		if text := expires(last(d.Args)); text != "" {
			parts = append(parts, text)
		} else if last(d.Args) != "off" {
			r.comments = append(r.comments, m.comment(d, "mkd has no variables of one's own, and no times that begin with the change of a file"))
		}
	}
	for _, d := range l.scope.nearest("add_header") {
		if len(d.Args) < 2 || !strings.EqualFold(d.Arg(0), "Cache-Control") {
			continue
		}
		if strings.Contains(d.Arg(1), "$") {
			r.comments = append(r.comments, m.comment(d, "cache_control has no variables"))
			continue
		}
		parts = append(parts, d.Arg(1))
	}
	return strings.Join(parts, ", ")
}

// expires returns the Cache-Control of expires, "" if there is none for it.
func expires(when string) string {
	switch when {
	case "off":
		return ""
	case "max":
		return "max-age=315360000"
	case "epoch", "-1":
		return "no-cache"
	}
	t, err := time.ParseDuration(duration(strings.TrimPrefix(when, "+")))
	if err != nil {
		return ""
	}
	return "max-age=" + strconv.Itoa(int(t.Seconds()))
}

// responseFields adds the fields of add_header, and removes those of
// proxy_hide_header and fastcgi_hide_header.
func (m *migration) responseFields(l *location, r *route) {
	set := &block{flow: true}
	files := r.serves && !l.passes()
	for _, d := range l.scope.nearest("add_header") {
		if len(d.Args) < 2 || d.Arg(1) == "" {
			continue
		}
		name := d.Arg(0)
		if strings.EqualFold(name, "Cache-Control") && files || strings.EqualFold(name, "Content-Type") && !r.serves {
			continue
		}
		if strings.EqualFold(name, "Alt-Svc") && strings.Contains(d.Arg(1), "h3=") {
			continue // of http3
		}
		value, err := expandVariables(d.Arg(1), l)
		if err != nil {
			r.comments = append(r.comments, m.comment(d, err.Error()))
			continue
		}
		if i := slices.IndexFunc(set.entries, func(e entry) bool { return strings.EqualFold(e.key, name) }); i >= 0 {
			r.comments = append(r.comments, m.note(d, "it is given twice; the last counts"))
			set.entries = slices.Delete(set.entries, i, i+1)
		}
		set.set(name, value)
		if strings.EqualFold(name, "Cache-Control") && r.serves && last(d.Args) != "always" && !strings.Contains(value, "no-") {
			r.comments = append(r.comments, m.note(d, "responses with errors have it too"))
		}
	}
	if d := l.scope.last("expires"); d != nil && r.serves && !files {
		if text := expires(last(d.Args)); text != "" {
			set.set("Cache-Control", text)
			r.comments = append(r.comments, m.note(d, "responses with errors have it too"))
		}
	}
	var remove []string
	for _, name := range []string{"proxy_hide_header", "fastcgi_hide_header"} {
		remove = append(remove, args(l.scope.nearest(name))...)
	}
	response := &block{}
	if len(set.entries) > 0 {
		set.flow = len(set.entries) < 3
		response.set("set", set)
	}
	if len(remove) > 0 {
		response.set("remove", remove)
	}
	if len(response.entries) == 0 {
		return
	}
	response.flow = set.flow || len(set.entries) == 0
	if h := r.options.get("headers"); h != nil {
		both := &block{entries: append(slices.Clone(h.value.(*block).entries), entry{key: "response", value: response})}
		h.value = both
		return
	}
	r.options.set("headers", &block{flow: response.flow, entries: []entry{{key: "response", value: response}}})
}

// passes reports whether a location has all its responses from a server.
func (l *location) passes() bool {
	return slices.ContainsFunc(l.scope.own, func(d *directive) bool { return d.Name == "proxy_pass" || d.Name == "grpc_pass" })
}
