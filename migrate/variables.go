package migrate

import (
	"fmt"
	"regexp"
	"strings"
)

// placeholders are the variables of nginx that mkd has something for.
var placeholders = map[string]string{
	"host":               "{host}",
	"http_host":          "{host}",
	"request_uri":        "{uri}",
	"uri":                "{path}",
	"document_uri":       "{path}",
	"args":               "{query}",
	"query_string":       "{query}",
	"remote_addr":        "{client_ip}",
	"binary_remote_addr": "{client_ip}",
	"scheme":             "{scheme}",
	"request_id":         "{request_id}",
	"request_method":     "{method}",
}

var variablePattern = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)

// literalBrace finds a brace that mkd would take for a placeholder's.
var literalBrace = regexp.MustCompile(`\{(?:\{|[a-z_]+(?:\.[A-Za-z0-9_-]+)?\})`)

// expandVariables returns a text with mkd's placeholders in place of nginx's variables.
// l is the location, whose groups count; it may be nil.
func expandVariables(text string, l *location) (string, error) {
	groups := 0
	if l != nil {
		groups = l.groups
	}
	return expandGroups(text, groups)
}

// expandGroups is expandVariables where a regular expression has so many groups.
func expandGroups(text string, groups int) (string, error) {
	text = strings.ReplaceAll(text, "$uri$is_args$args", "$request_uri")
	text = strings.ReplaceAll(text, "$is_args$args", "?$args")
	var b strings.Builder
	at := 0
	for _, v := range variablePattern.FindAllStringIndex(text, -1) {
		b.WriteString(literalBrace.ReplaceAllString(text[at:v[0]], "{$0"))
		at = v[1]
		name := strings.Trim(text[v[0]:v[1]], "${}")
		field, isField := strings.CutPrefix(name, "http_")
		switch {
		case placeholders[name] != "":
			b.WriteString(placeholders[name])
		case isField:
			b.WriteString("{header." + fieldName(field) + "}")
		case len(name) == 1 && name[0] >= '1' && int(name[0]-'0') <= groups:
			b.WriteString("{re." + name + "}")
		default:
			return "", fmt.Errorf("mkd has no placeholder for %s", text[v[0]:v[1]])
		}
	}
	b.WriteString(literalBrace.ReplaceAllString(text[at:], "{$0"))
	return b.String(), nil
}

// fieldName returns X-Real-Ip for x_real_ip.
func fieldName(variable string) string {
	parts := strings.Split(variable, "_")
	for i, p := range parts {
		if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "-")
}
