package route

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mkd/config"
	"mkd/proxy/httpmsg"
	"mkd/proxy/request"
)

// template is a text with placeholders, each of which becomes a fact about a request.
// What a client sent is never looked into for placeholders.
type template struct {
	parts    []part
	plain    string // the text, if it has no placeholder
	relative bool   // it is a URL that begins with a path
}

// part is a piece of text, or a placeholder.
type part struct {
	config.TemplatePart
	as    form
	re    *regexp.Regexp // of {re.NAME}
	group int
}

// form is where a text is used, which decides how values are escaped.
type form int

const (
	asField form = iota // the value of a header field
	asURL               // a part of a URL; behind a ? it is asQuery
	asHost              // a part of the host of a URL
	asPath              // a part of what follows the host of a URL
	asQuery             // a part of a query
	asText
	asHTML
	asJSON
	asScript // in a string of JavaScript
)

// expressions are the regular expressions of a route, and of those around it, whose
// groups a template may name. The nearest comes first.
type expressions []*regexp.Regexp

// newTemplate makes a template of a text that was checked.
func newTemplate(text string, as form, groups expressions) *template {
	parsed, _ := config.ParseTemplate(text)
	t := new(template)
	if len(parsed) == 0 {
		return t
	}
	if len(parsed) == 1 && parsed[0].Name == "" {
		t.plain = parsed[0].Text
		return t
	}
	var host hostForms
	if as == asURL {
		host.begin(parsed)
		t.relative = !host.within && !strings.HasPrefix(text, "//")
	}
	for i, p := range parsed {
		own := part{TemplatePart: p, as: as}
		if host.within {
			own.as = host.form(i, p)
		}
		if as == asURL && strings.Contains(p.Text, "?") {
			as = asQuery
		}
		for _, re := range groups {
			if p.Name == "re." && own.re == nil {
				if own.group = groupOf(re, p.Of); own.group >= 0 {
					own.re = re
				}
			}
		}
		t.parts = append(t.parts, own)
	}
	return t
}

// groupOf returns the number of a group, -1 if there is none.
func groupOf(re *regexp.Regexp, name string) int {
	if n, err := strconv.Atoi(name); err == nil && n <= re.NumSubexp() {
		return n
	}
	return re.SubexpIndex(name)
}

// dynamic reports whether the text differs from request to request.
func (t *template) dynamic() bool { return t.parts != nil }

// uses reports whether the text has a placeholder.
func (t *template) uses(name string) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.Name == name })
}

// expand returns the text for a request, which must not be rewritten yet.
func (t *template) expand(r *request.Request) string {
	if t.parts == nil {
		return t.plain
	}
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		if p.Name == "" {
			b.WriteString(p.Text)
			continue
		}
		value := p.escape(p.value(r))
		if p.as == asPath && value != "" && strings.IndexByte("/?#", value[0]) < 0 && isOpen(b.String()) {
			b.WriteByte('/') // the host ends here
		}
		b.WriteString(value)
	}
	text := b.String()
	if t.relative && len(text) > 1 && (text[1] == '/' || text[1] == '\\') {
		text = "/" + strings.TrimLeft(text, `/\`) // or it would lead to another host
	}
	return text
}

// value returns what a placeholder stands for, "" if the request has no such thing.
func (p *part) value(r *request.Request) string {
	switch p.Name {
	case "client_ip":
		return r.Client.Addr().String()
	case "request_id":
		return r.ID()
	case "scheme":
		return schemeOf(r)
	case "session":
		if r.Session != nil {
			return r.Session.String()
		}
		return ""
	case "user":
		return r.User
	}
	if r.Raw {
		return ""
	}
	switch p.Name {
	case "header.":
		return strings.Join(r.Header.Values(p.Of), ", ")
	case "host":
		return r.Host
	case "method":
		return r.Method
	case "path":
		return r.URL.EscapedPath()
	case "query":
		return r.URL.RawQuery
	case "uri":
		return r.URL.RequestURI()
	case "re.":
		m := p.re.FindStringSubmatch(r.Path)
		if m == nil {
			return ""
		}
		if p.as == asField || p.as == asURL || p.as == asPath {
			return httpmsg.EscapeMatched(m[p.group])
		}
		return m[p.group]
	}
	return ""
}

func schemeOf(r *request.Request) string {
	if r.Secure {
		return "https"
	}
	return "http"
}

// escape returns a value so that it can't be more than a value where the text is used.
func (p *part) escape(value string) string {
	switch p.as {
	case asHost:
		return url.QueryEscape(value)
	case asURL, asPath:
		return p.escapeURL(value)
	case asQuery:
		if p.Name == "query" {
			return value
		}
		return url.QueryEscape(value)
	case asHTML:
		return html.EscapeString(value)
	case asJSON, asScript:
		quoted, _ := json.Marshal(value) // can't fail
		text := string(quoted[1 : len(quoted)-1])
		if p.as == asScript {
			text = scriptQuotes.Replace(text)
		}
		return text
	}
	return value
}

// escapeURL returns a value as a part of a path.
func (p *part) escapeURL(value string) string {
	switch p.Name { // these are parts of a URL already
	case "host", "path", "query", "uri", "re.", "scheme", "client_ip":
		return value
	}
	return url.PathEscape(value)
}

// scriptQuotes escapes what JavaScript has beside JSON to end a string, or to go on with
// an expression in one.
var scriptQuotes = strings.NewReplacer("'", `\u0027`, "`", `\u0060`, "$", `\u0024`)

// formOf returns how values are escaped in a body of a type.
func formOf(contentType string) form {
	base, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch base = strings.TrimSpace(base); {
	case strings.HasSuffix(base, "json"):
		return asJSON
	case strings.HasSuffix(base, "javascript"), strings.HasSuffix(base, "ecmascript"):
		return asScript
	case strings.HasSuffix(base, "html"), strings.HasSuffix(base, "xml"):
		return asHTML
	}
	return asText
}
