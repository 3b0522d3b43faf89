package migrate

import (
	"slices"
	"strings"

	"mkd/migrate/nginxconf"
)

// tryFiles returns the entries of try_files in mkd's form, the script among them, and
// the named location at its end, if there is one.
func (m *migration) tryFiles(s *site, l *location, r *route) (try []string, script string, named *location) {
	lines := l.scope.here("try_files")
	if len(lines) == 0 && l.d == nil {
		return nil, "", nil
	}
	if len(lines) == 0 {
		return m.tryIf(s, l)
	}
	d := lines[0]
	for i, arg := range d.Args {
		end := i == len(d.Args)-1
		plain, _, _ := strings.Cut(arg, "?")
		plain = strings.TrimSuffix(plain, "$is_args$args")
		switch {
		case plain == "$uri" || plain == "$document_root$uri":
			try = append(try, "{path}")
		case plain == "$uri/":
			try = append(try, "{path}/")
		case plain == "$uri/index.html" && slices.Contains(m.index(l), "index.html"):
			try = append(try, "{path}/")
			r.comments = append(r.comments, m.note(d, "a folder's path gets its slash by a redirect"))
		case strings.HasPrefix(plain, "$uri") && !strings.ContainsAny(plain[1:], "$/"):
			try = append(try, "{path}"+plain[len("$uri"):])
		case end && arg == "=404":
			if !slices.Contains(try, "{path}/") {
				try = append(try, arg)
			}
		case end && strings.HasPrefix(arg, "="):
			r.comments = append(r.comments, m.comment(d, "the end of try is =404 or a path"))
		case end && strings.HasPrefix(arg, "@"):
			named = s.named(arg)
			if script = m.namedScript(named); script != "" {
				try, named = append(try, script), nil
			} else if named == nil {
				r.comments = append(r.comments, m.comment(d, "there is no location "+arg))
			}
		case strings.HasPrefix(plain, "/") && strings.TrimSuffix(plain, "$request_uri") == strings.ReplaceAll(plain, "$request_uri", "") && !strings.Contains(strings.TrimSuffix(plain, "$request_uri"), "$"):
			if rest, ok := strings.CutSuffix(plain, "$request_uri"); ok {
				plain = rest
				r.comments = append(r.comments, m.note(d, "the script has the path in REQUEST_URI, and no PATH_INFO"))
			}
			try = append(try, plain)
			if end {
				script = plain
				if q := arg[strings.IndexByte(arg+"?", '?'):]; strings.Contains(q, "=") {
					r.comments = append(r.comments, m.note(d, "requests keep their own query; REQUEST_URI has the path"))
				}
			}
		default:
			r.comments = append(r.comments, m.comment(d, "try has no such entry: "+arg))
		}
	}
	return try, script, named
}

// tries returns the directive that has what a location tries, in either form.
func (l *location) tries() *directive {
	if i := slices.IndexFunc(l.scope.own, func(d *directive) bool { return d.Name == "try_files" }); i >= 0 {
		return l.scope.own[i]
	}
	return l.scope.own[slices.IndexFunc(l.scope.own, func(d *directive) bool { return d.Name == "if" && isTryIf(d) })]
}

// tryIf reads the older form of try_files: if (!-e $request_filename) { rewrite ... }.
func (m *migration) tryIf(s *site, l *location) (try []string, script string, named *location) {
	for _, d := range l.scope.own {
		if d.Name != "if" || len(d.Args) != 2 || d.Arg(1) != "$request_filename)" || len(d.Block) != 1 || d.Block[0].Name != "rewrite" {
			continue
		}
		to := rewriteScript(d.Block[0])
		switch d.Arg(0) {
		case "(!-e":
			try = []string{"{path}", "{path}/"}
		case "(!-f":
			try = []string{"{path}"}
		}
		if len(try) > 0 && to != "" {
			m.done[d] = true
			return append(try, to), to, nil
		}
	}
	return nil, "", nil
}

// namedScript returns the script that a named location runs, "" if it does anything
// else.
func (m *migration) namedScript(l *location) string {
	if l == nil {
		return ""
	}
	for _, d := range l.scope.own {
		if to := rewriteScript(d); d.Name == "rewrite" && to != "" {
			m.done[d] = true
			return to
		}
	}
	if !l.runs() {
		return ""
	}
	return l.fixedScript(cleanFolder(l.scope.word("root")))
}

// rewriteScript returns the path that a rewrite of all paths leads to, without its
// query.
func rewriteScript(d *nginxconf.Directive) string {
	if len(d.Args) < 2 || !rewritesAll[d.Arg(0)] {
		return ""
	}
	if len(d.Args) > 2 && (d.Arg(2) == "permanent" || d.Arg(2) == "redirect") {
		return ""
	}
	to, _, _ := strings.Cut(d.Arg(1), "?")
	if strings.Contains(to, "$") || !strings.HasPrefix(to, "/") {
		return ""
	}
	return to
}
