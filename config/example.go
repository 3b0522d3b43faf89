package config

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// exampleOf returns a block as it could be written in the place of n, which isn't
// one. An example is "{min: VALUE, max: VALUE}|4": VALUE stands for what n has, if
// that is of the kind of what follows the bar, and else for the latter.
func exampleOf(example string, n *yaml.Node) string {
	if example == "" {
		return "key: value"
	}
	block, value, _ := strings.Cut(example, "|")
	if n.Kind == yaml.ScalarNode && n.Tag == tagOf(value) && n.Value != "" && len(n.Value) <= maxQuoted {
		value = n.Value
	}
	return strings.ReplaceAll(block, "VALUE", flowWord(value))
}

// tagOf returns the YAML type of a plain value.
func tagOf(value string) string {
	var n yaml.Node
	if yaml.Unmarshal([]byte(value), &n) != nil || len(n.Content) == 0 {
		return "!!str"
	}
	return n.Content[0].Tag
}

// flowWord returns a value as it is written within brackets: in quotes if it has
// letters that mean something there.
func flowWord(s string) string {
	if s == "" || strings.Trim(s, wordBytes+"./") != "" && !strings.Contains(s, "://") || strings.ContainsAny(s, "{}[], \"'#") {
		return quote(s)
	}
	return s
}

// asList returns the hint to write a single value as a list.
func asList(n *yaml.Node, f field) string {
	switch {
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0:
		return "; begin each with \"- \""
	case f.example != "":
		return ", as in [" + exampleOf(f.example, n) + "]"
	case n.Kind != yaml.ScalarNode || isNull(n) || isExpanded(n) || len(n.Value) >= maxQuoted:
		return ""
	}
	values := []string{n.Value}
	if f.format != "" { // no such value has a space
		values = strings.FieldsFunc(n.Value, func(r rune) bool { return r == ' ' || r == ',' })
	}
	for i := range values {
		values[i] = flowWord(values[i])
	}
	return ", as in [" + strings.Join(values, ", ") + "]"
}

// quoted returns the hint to put a value in quotes, if that is what is wrong with
// n, which isn't a string.
func quoted(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.ScalarNode && !isNull(n):
		return "; put it in quotes"
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) == 2 &&
		n.Content[0].Kind == yaml.ScalarNode && len(n.Content[0].Value) < maxQuoted && isNull(n.Content[1]): // {path}
		return "; put it in quotes: " + quote("{"+n.Content[0].Value+"}")
	}
	return ""
}
