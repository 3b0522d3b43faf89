package migrate

import (
	"regexp"
	"slices"
	"strings"
)

// conditions are those of a route, or of its not.
type conditions struct {
	hosts      []string
	paths      []string
	pathRegexp string
	query      []entry
	methods    []string
	headers    []entry
	from       []string
}

// match selects the requests of a route.
type match struct {
	listeners []string
	conditions
	not conditions
}

func (c *conditions) empty() bool {
	return len(c.hosts)+len(c.paths)+len(c.query)+len(c.methods)+len(c.headers)+len(c.from) == 0 && c.pathRegexp == ""
}

func (m *match) empty() bool {
	return len(m.listeners) == 0 && m.conditions.empty() && m.not.empty()
}

// prefix lets all paths match that begin with a text. Those that end with a slash are
// a folder; others may end within a name.
func (c *conditions) prefix(text string) {
	switch {
	case text == "/":
	case strings.HasSuffix(text, "/"):
		c.paths = []string{text + "*"}
	default:
		c.pathRegexp = "^" + regexp.QuoteMeta(text)
	}
}

var (
	endsWith = regexp.MustCompile(`^\\(\.[a-z0-9]+)\$$`)
	below    = regexp.MustCompile(`^\^((?:/(?:[\w-]|\\\.)+)+)\((?:\?:)?(?:/\|\$|\$\|/)\)$`)
)

// regexp lets paths match by an expression, or by a plain form that means the same.
func (c *conditions) regexp(text string) {
	if m := endsWith.FindStringSubmatch(text); m != nil {
		c.paths = []string{"*" + m[1]}
	} else if m := below.FindStringSubmatch(text); m != nil {
		c.paths = []string{strings.ReplaceAll(m[1], `\.`, ".") + "/*"}
	} else {
		c.pathRegexp = text
	}
}

// block returns conditions as a section in braces.
func (c *conditions) block() *block {
	b := &block{flow: true}
	for _, l := range []struct {
		key  string
		list []string
	}{{"hosts", c.hosts}, {"paths", c.paths}} {
		if len(l.list) > 0 {
			b.set(l.key, l.list)
		}
	}
	if c.pathRegexp != "" {
		b.set("path_regexp", c.pathRegexp)
	}
	if len(c.query) > 0 {
		b.set("query", &block{flow: true, entries: c.query})
	}
	if len(c.methods) > 0 {
		b.set("methods", c.methods)
	}
	if len(c.headers) > 0 {
		b.set("headers", &block{flow: true, entries: c.headers})
	}
	if len(c.from) > 0 {
		b.set("from", c.from)
	}
	return b
}

func (m *match) block() *block {
	b := m.conditions.block()
	if len(m.listeners) > 0 {
		b.entries = append([]entry{{key: "listeners", value: m.listeners}}, b.entries...)
	}
	if !m.not.empty() {
		b.set("not", m.not.block())
	}
	return b
}

var endingList = regexp.MustCompile(`^(?:\(\?i\))?\\\.\((?:\?:)?([a-z0-9|]+)\)\$$`)

// endings returns the endings of the paths that match, nil if it is about others.
func (c *conditions) endings() (list []string) {
	if m := endingList.FindStringSubmatch(c.pathRegexp); m != nil && len(c.paths) == 0 {
		return strings.Split(m[1], "|")
	}
	for _, p := range c.paths {
		ending, ok := strings.CutPrefix(p, "*.")
		if !ok {
			return nil
		}
		list = append(list, ending)
	}
	return list
}

// apart reports whether no path can match both.
func apart(a, b *match) bool {
	x, y := a.endings(), b.endings()
	return len(x) > 0 && len(y) > 0 && !slices.ContainsFunc(x, func(e string) bool { return slices.Contains(y, e) })
}
