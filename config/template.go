package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Placeholders are what a text can have in braces: facts about a request. Those that
// end with a dot have a name behind it, as in {header.User-Agent}.
var placeholders = []string{"client_ip", "header.", "host", "method", "path", "query", "re.", "request_id", "scheme", "session", "uri", "user"}

// TemplatePart is a part of a text with placeholders.
type TemplatePart struct {
	Text string // what stays as it is; "" for a placeholder
	Name string // of the placeholder: host, or header. with the dot
	Of   string // what is behind the dot
}

// aPlaceholder finds what is a placeholder by its form, and a brace that is written
// twice. Other braces, as those of JSON, stay as they are.
var aPlaceholder = regexp.MustCompile(`\{\{|\{([a-z_]+)(?:(\.)([A-Za-z0-9_-]+))?\}`)

// ParseTemplate splits a text with placeholders into its parts.
func ParseTemplate(s string) ([]TemplatePart, error) {
	var parts []TemplatePart
	at := 0
	text := func(t string) {
		if n := len(parts); n > 0 && parts[n-1].Name == "" {
			parts[n-1].Text += t
		} else if t != "" {
			parts = append(parts, TemplatePart{Text: t})
		}
	}
	for _, m := range aPlaceholder.FindAllStringSubmatchIndex(s, -1) {
		text(s[at:m[0]])
		at = m[1]
		if m[2] < 0 {
			text("{")
			continue
		}
		p := TemplatePart{Name: s[m[2]:m[3]]}
		if m[4] >= 0 {
			p.Name, p.Of = p.Name+".", s[m[6]:m[7]]
		}
		if !slices.Contains(placeholders, p.Name) {
			return nil, fmt.Errorf("there is no placeholder %s; known are %s; for a brace itself, write {{", s[m[0]:m[1]], placeholderList())
		}
		if p.Name == "header." && strings.ContainsAny(p.Of, "_.") {
			return nil, fmt.Errorf("%s is always empty: fields with _ in their names are dropped", s[m[0]:m[1]])
		}
		parts = append(parts, p)
	}
	text(s[at:])
	return parts, nil
}

func placeholderList() string {
	var list []string
	for _, p := range placeholders {
		if strings.HasSuffix(p, ".") {
			p += "NAME"
		}
		list = append(list, "{"+p+"}")
	}
	return strings.Join(list, ", ")
}

// checkTemplate checks a text with placeholders.
func checkTemplate(s string) error {
	_, err := ParseTemplate(s)
	return err
}

// fill returns a text with samples in place of its placeholders, to check what it will
// be.
func fill(s string, samples map[string]string) (string, error) {
	parts, err := ParseTemplate(s)
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
		if sample, ok := samples[p.Name]; ok {
			b.WriteString(sample)
		} else if p.Name != "" {
			b.WriteString("x")
		}
	}
	return b.String(), err
}

// samples are what placeholders become in an address.
var samples = map[string]string{"host": "h", "path": "/", "uri": "/", "scheme": "https"}

// checkPathTemplate checks the path that a request gets.
func checkPathTemplate(s string) error {
	path, err := fill(s, samples)
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("want a path, which begins with /")
	case strings.Contains(s, "/{path}"), strings.Contains(s, "/{uri}"):
		return fmt.Errorf("{path} and {uri} begin with a / themselves, so leave out the one in front")
	}
	return checkTarget(strings.ReplaceAll(path, "//", "/"))
}

// checkRewrittenPath checks a path without a query.
func checkRewrittenPath(s string) error {
	if strings.Contains(s, "?") || strings.Contains(s, "{uri}") || strings.Contains(s, "{query}") {
		return fmt.Errorf("a path has no query here; give it in query")
	}
	return checkPathTemplate(s)
}

// checkQueryTemplate checks the query that a request gets.
func checkQueryTemplate(s string) error {
	query, err := fill(s, samples)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(s, "?"):
		return fmt.Errorf("leave out the ? in front")
	case strings.ContainsAny(query, " #") || strings.ContainsFunc(query, isControl):
		return fmt.Errorf("want a query, as in q={path}&{query}")
	}
	return nil
}

// templated returns the texts of a route that may have placeholders, by the fields that
// have them.
func (r *Route) templated() map[any][]string {
	texts := make(map[any][]string)
	for _, fields := range []*map[string]string{&r.Headers.Request.Set, &r.Headers.Request.Add, &r.Headers.Response.Set, &r.Headers.Response.Add} {
		for _, value := range *fields {
			texts[fields] = append(texts[fields], value)
		}
	}
	if r.Redirect != nil {
		texts[&r.Redirect.To] = []string{r.Redirect.To}
	}
	if r.Respond != nil {
		texts[&r.Respond.Body] = []string{r.Respond.Body}
	}
	if w := r.Rewrite; w != nil {
		texts[&w.Path], texts[&w.Query] = []string{w.Path}, []string{w.Query}
	}
	return texts
}

// groupsOf returns the names and numbers of the groups of a regular expression.
func groupsOf(expression string) (groups []string) {
	re, err := regexp.Compile(expression)
	if err != nil || expression == "" {
		return nil
	}
	for i, name := range re.SubexpNames() {
		groups = append(groups, fmt.Sprint(i))
		if name != "" {
			groups = append(groups, name)
		}
	}
	return groups
}

// checkGroups checks that each {re.NAME} names a group: of the path_regexp of a route,
// or of one around it, whose groups are given.
func (w *walker) checkGroups(routes []Route, around []string) {
	for i := range routes {
		r := &routes[i]
		groups := append(groupsOf(r.Match.PathRegexp), around...)
		for field, texts := range r.templated() {
			for _, text := range texts {
				w.checkGroupsOf(field, text, groups, "no path_regexp of this route has such a group")
			}
		}
		if rw := r.Rewrite; rw != nil {
			w.checkGroupsOf(&rw.To, rw.To, append(groupsOf(rw.Regexp), groups...), "neither regexp nor path_regexp has such a group")
		}
		w.checkGroups(r.Routes, groups)
	}
}

func (w *walker) checkGroupsOf(field any, text string, groups []string, why string) {
	parts, err := ParseTemplate(text)
	if err != nil || !w.sound(field) {
		return
	}
	for _, p := range parts {
		if p.Name == "re." && !slices.Contains(groups, p.Of) {
			w.wrong(field, "{re.%s}: %s; write one as in (?P<%[1]s>[a-z]+)", p.Of, why)
			return
		}
	}
}
