package route

import (
	"regexp"
	"slices"
	"strings"

	"mkd/config"
	"mkd/proxy/httpmsg"
)

// paths are conditions on a path: one of the patterns, and the regular expression.
type paths struct {
	exact  []string
	below  []string // ends with /
	suffix []string
	file   []string // of a guard: exact, and below it as if it were a script
	regexp *regexp.Regexp
	guard  bool // the regular expression takes what is below a script, too
}

// newPaths returns nil if there are no conditions.
func newPaths(c *config.Conditions) *paths {
	if len(c.Paths) == 0 && c.PathRegexp == "" {
		return nil
	}
	p := new(paths)
	for _, s := range c.Paths {
		switch {
		case strings.HasPrefix(s, "*"):
			p.suffix = append(p.suffix, s[1:])
		case strings.HasSuffix(s, "*"):
			p.below = append(p.below, s[:len(s)-1])
		default:
			p.exact = append(p.exact, s)
		}
	}
	if c.PathRegexp != "" {
		p.regexp = pathRegexp(c.PathRegexp)
	}
	return p
}

// pathRegexp returns a regular expression that was checked. A dot matches line ends too:
// with %0A in its path no request must get past a guard.
func pathRegexp(s string) *regexp.Regexp { return regexp.MustCompile("(?s)" + s) }

// match reports whether the conditions hold for a path. /api/* includes /api itself:
// who guards a folder means its own page too.
func (p *paths) match(path string) bool {
	return (len(p.exact)+len(p.below)+len(p.suffix)+len(p.file) == 0 || p.listed(path)) && (p.regexp == nil || p.matchRegexp(path))
}

// maxScripts bounds how many names of a path could be that of a script.
const maxScripts = 16

// matchRegexp reports whether the regular expression matches a path. That of a guard may
// also match the path of what could be a script, before its PATH_INFO.
func (p *paths) matchRegexp(path string) bool {
	if p.regexp.MatchString(path) {
		return true
	}
	if !p.guard {
		return false
	}
	scripts, name := 0, 0 // where a name begins
	for i := 0; i < len(path) && scripts < maxScripts; i++ {
		if path[i] != '/' {
			continue
		}
		if strings.Contains(path[name:i], ".") {
			if scripts++; p.regexp.MatchString(path[:i]) {
				return true
			}
		}
		name = i + 1
	}
	return false
}

func (p *paths) listed(path string) bool {
	return slices.Contains(p.exact, path) ||
		slices.ContainsFunc(p.below, func(b string) bool {
			return strings.HasPrefix(path, b) || len(path) == len(b)-1 && strings.HasPrefix(b, path)
		}) ||
		slices.ContainsFunc(p.suffix, func(s string) bool { return strings.HasSuffix(path, s) }) ||
		slices.ContainsFunc(p.file, func(f string) bool { return isScript(path, f) })
}

// isScript reports whether a path ends with a suffix, or goes on below: what follows
// the name of a PHP script is its PATH_INFO.
func isScript(path, suffix string) bool {
	return strings.HasSuffix(path, suffix) || strings.Contains(path, suffix+"/")
}

// loosen returns the conditions for paths in the form of httpmsg.LoosePath.
func (p *paths) loosen() *paths {
	l := new(paths)
	for _, e := range p.exact {
		if e = httpmsg.LoosePath(e); strings.Contains(e[strings.LastIndexByte(e, '/'):], ".") {
			l.below = append(l.below, e+"/")
		} else {
			l.exact = append(l.exact, e)
		}
	}
	for _, b := range p.below {
		l.below = append(l.below, strings.TrimSuffix(httpmsg.LoosePath(b), "/")+"/")
	}
	for _, s := range p.suffix {
		l.file = append(l.file, strings.ToLower(s))
	}
	if p.regexp != nil {
		l.regexp, l.guard = regexp.MustCompile("(?i:"+p.regexp.String()+")"), true
	}
	return l
}

// loosePath is the loose form of a request's path, which is made when it is first
// asked for.
type loosePath struct {
	path string
	made bool
}

func (l *loosePath) of(path string) string {
	if !l.made {
		l.path, l.made = httpmsg.LoosePath(path), true
	}
	return l.path
}

// guards reports whether a route refuses requests: it, or one inside of it, asks who
// the client is, or responds with an error of the client. A guard also takes the paths that a
// server behind mkd could take for its own, if it isn't as strict: in other letters,
// with an encoded slash, with parameters. For other routes such a path is just
// another one.
func guards(c *config.Route) bool {
	return c.Auth != nil || c.ClientCertificate == "required" || c.Respond != nil && c.Respond.Status/100 == 4 ||
		slices.ContainsFunc(c.Routes, func(inner config.Route) bool { return guards(&inner) })
}
