package migrate

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"mkd/migrate/nginxconf"
)

// location is a location of nginx. That of all paths that no other takes may have no
// block of its own.
type location struct {
	d           *nginxconf.Directive // nil: what the server itself has
	scope       *scope
	outer       *location // that it is nested in
	kind        kind
	pattern     string
	first       bool           // ^~: regular expressions don't count
	re          *regexp.Regexp // of kind byRegexp; nil if there is none for it
	not         string         // a regular expression that must not match besides
	groups      int
	comments    []string
	translation string
}

type kind int

const (
	byPrefix kind = iota
	exactly
	byRegexp
	byName
)

// readLocations reads the locations of a server, nested ones too.
func (s *site) readLocations(m *migration) {
	s.readBelow(m, s.scope, nil)
	if !slices.ContainsFunc(s.locations, func(l *location) bool { return l.kind == byPrefix && l.pattern == "/" }) {
		s.locations = append(s.locations, &location{scope: s.scope, pattern: "/"})
	}
}

func (s *site) readBelow(m *migration, within *scope, outer *location) {
	for _, d := range within.own {
		if d.Name != "location" || !d.Braces || len(d.Args) == 0 {
			continue
		}
		m.done[d] = true
		l := &location{d: d, outer: outer, scope: &scope{m: m, own: d.Block, outer: within}}
		sign, pattern := "", last(d.Args)
		if len(d.Args) > 1 {
			sign = d.Arg(0)
		} else {
			for _, s := range []string{"^~", "~*", "~", "="} { // location ~^/a
				if rest, ok := strings.CutPrefix(pattern, s); ok {
					sign, pattern = s, rest
					break
				}
			}
		}
		l.pattern = pattern
		switch sign {
		case "=":
			l.kind = exactly
		case "^~":
			l.first = true
		case "~", "~*":
			l.kind = byRegexp
			l.compile(m, sign == "~*")
		default:
			if strings.HasPrefix(pattern, "@") {
				l.kind = byName
			}
		}
		s.locations = append(s.locations, l)
		s.readBelow(m, l.scope, l)
	}
}

// compile translates the regular expression of a location.
func (l *location) compile(m *migration, insensitive bool) {
	text, not, note, err := translateRegexp(l.pattern, insensitive)
	if err != nil {
		l.comments = append(l.comments, m.comment(l.d, err.Error()))
		return
	}
	if note != "" {
		l.comments = append(l.comments, m.note(l.d, "%s", note))
	}
	l.translation, l.not = text, not
	l.re = regexp.MustCompile(text)
	l.groups = l.re.NumSubexp()
}

var groupPattern = regexp.MustCompile(`\$\{?[1-9]`)

// matches reports whether a location takes a path, leaving aside the others.
func (l *location) matches(path string) bool {
	switch l.kind {
	case exactly:
		return path == l.pattern
	case byPrefix:
		return strings.HasPrefix(path, l.pattern)
	case byRegexp:
		return l.re != nil && l.re.MatchString(path) && (l.not == "" || !regexp.MustCompile(l.not).MatchString(path)) &&
			(l.outer == nil || l.outer.matches(path))
	}
	return false
}

// find returns the location that nginx chooses for a path.
func (s *site) find(path string) *location {
	for _, l := range s.ordered() {
		longer := func(prefix string) bool { return strings.HasPrefix(path, prefix) }
		if l.matches(path) && !slices.ContainsFunc(s.within(l), longer) {
			return l
		}
	}
	return nil
}

// ordered returns the locations that have paths, in an order in which the first that
// matches is the one that nginx chooses: exact ones; those that are preferred to
// regular expressions; regular expressions, nested ones first; all prefixes. The longer
// prefix comes first.
func (s *site) ordered() []*location {
	rank := func(l *location) int {
		switch {
		case l.kind == exactly:
			return 0
		case l.kind == byPrefix && l.first, l.kind == byRegexp && l.outer != nil && l.outer.first:
			return 1
		case l.kind == byRegexp && l.outer != nil:
			return 2
		case l.kind == byRegexp:
			return 3
		}
		return 4
	}
	length := func(l *location) int {
		switch {
		case l.kind == byRegexp && l.outer != nil:
			return len(l.outer.pattern)
		case l.kind == byPrefix:
			return len(l.pattern)
		}
		return 0
	}
	all := slices.DeleteFunc(slices.Clone(s.locations), func(l *location) bool { return l.kind == byName })
	slices.SortStableFunc(all, func(a, b *location) int {
		nested := func(l *location) int { // before the prefix that it is in
			if l.kind == byRegexp {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(length(b), length(a)), cmp.Compare(nested(a), nested(b)))
	})
	return all
}

// within returns the longer prefixes that nginx would choose in place of a preferred
// one, and that regular expressions precede.
func (s *site) within(l *location) (longer []string) {
	if !l.first {
		return nil
	}
	for _, other := range s.locations {
		if other.kind == byPrefix && !other.first && len(other.pattern) > len(l.pattern) && strings.HasPrefix(other.pattern, l.pattern) {
			longer = append(longer, other.pattern)
		}
	}
	return longer
}

// rest returns the location of all paths that no other takes.
func (s *site) rest() *location {
	i := slices.IndexFunc(s.locations, func(l *location) bool { return l.kind == byPrefix && l.pattern == "/" })
	return s.locations[i]
}

// named returns the location @name, nil if there is none.
func (s *site) named(name string) *location {
	for _, l := range s.locations {
		if l.kind == byName && l.pattern == name {
			return l
		}
	}
	return nil
}

// match returns the conditions of a route for a location.
func (s *site) match(l *location) match {
	var m match
	switch l.kind {
	case exactly:
		m.paths = []string{l.pattern}
	case byPrefix:
		m.prefix(l.pattern)
		for _, longer := range s.within(l) {
			m.not.paths = append(m.not.paths, strings.TrimSuffix(longer, "/")+"/*")
		}
	case byRegexp:
		m.regexp(l.translation)
		m.not.pathRegexp = l.not
		if l.outer != nil && l.outer.kind == byPrefix {
			var outer match
			if outer.prefix(l.outer.pattern); len(outer.paths)+len(outer.pathRegexp) > 0 {
				m.paths, m.pathRegexp = nil, l.translation // of several paths, one would do
			}
			if outer.pathRegexp == "" {
				m.paths = append(m.paths, outer.paths...)
			} else if !strings.HasPrefix(l.translation, "(?i)^") && !strings.HasPrefix(l.translation, "^") {
				if strings.Contains(m.pathRegexp, "|") {
					m.pathRegexp = "(?:" + m.pathRegexp + ")"
				}
				m.pathRegexp = outer.pathRegexp + ".*" + m.pathRegexp
			}
		}
	}
	return m
}
