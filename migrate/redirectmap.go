package migrate

import (
	"regexp"
	"slices"
	"strings"
)

// redirectMap returns the redirects of an if about a map of paths, as sites have it that
// have moved their pages:
//
//	map $uri $new { /old /new; ~^/blog/(\d+)$ /posts/$1; }
//	if ($new) { return 301 $new; }
//
// It returns nil if the if is about anything else, or an entry can't be moved.
func (m *migration) redirectMap(d *directive, base match) (routes []*route) {
	variable := strings.TrimPrefix(strings.TrimSuffix(strings.Join(d.Args, " "), ")"), "(")
	for _, empty := range []string{` != ""`, " != ''", " !="} {
		variable = strings.TrimSuffix(variable, empty)
	}
	entries := m.maps[variable]
	if entries == nil || len(entries.Args) != 2 || entries.Arg(0) != "$uri" && entries.Arg(0) != "$request_uri" || len(d.Block) != 1 || base.pathRegexp != "" {
		return nil
	}
	back := d.Block[0]
	before, ends := strings.CutSuffix(last(back.Args), variable)
	if back.Name != "return" || !ends || strings.Contains(before, variable) {
		return nil
	}
	paths := make(map[string]*route) // by what plain paths lead to
	var plain, expressions []*route
	for _, e := range entries.Block {
		key, to := e.Name, last(e.Args)
		if key == "default" && to == "" {
			continue
		}
		r := &route{match: base}
		groups := 0
		if re, isRegexp := strings.CutPrefix(key, "~"); isRegexp {
			re, insensitive := strings.CutPrefix(re, "*")
			translated, not, _, err := translateRegexp(re, insensitive)
			if err != nil || len(base.paths) > 0 {
				return nil
			}
			r.match.pathRegexp, r.match.not.pathRegexp = translated, not
			groups = regexp.MustCompile(translated).NumSubexp()
			expressions = append(expressions, r)
		} else if strings.HasPrefix(key, "/") && !strings.ContainsAny(key, "?*%") && len(base.paths) == 0 {
			if other := paths[to]; other != nil {
				other.match.paths = append(other.match.paths, key)
				continue
			}
			r.match.paths = []string{key}
			paths[to] = r
			plain = append(plain, r)
		} else {
			return nil
		}
		if len(e.Args) != 1 || !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "http") {
			return nil
		}
		target := *back
		target.Args = append(slices.Clone(back.Args[:len(back.Args)-1]), before+to)
		if err := m.respond(&target, &scope{m: m}, groups, r); err != nil || r.action.key != "redirect" {
			return nil
		}
	}
	m.done[d], m.done[back], m.done[entries] = true, true, true
	routes = append(plain, expressions...) // nginx looks for paths first
	if len(routes) > 0 && entries.Arg(0) == "$request_uri" {
		routes[0].comments = append(routes[0].comments, m.note(entries, "paths lead elsewhere whatever their query is"))
	}
	return routes
}
