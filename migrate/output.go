package migrate

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// entry is a key of a block with its value and the comments above it. The value is a
// string, a bool, a number, a list, a block, or a list of blocks.
type entry struct {
	key      string
	value    any
	comments []string
}

// block is keys in their order. A flow block is written in braces.
type block struct {
	entries  []entry
	flow     bool
	comments []string // above it, in a list
}

func (b *block) set(key string, value any, comments ...string) {
	b.entries = append(b.entries, entry{key, value, comments})
}

// flowOf returns a block in braces with one key.
func flowOf(key string, value any) *block {
	return &block{flow: true, entries: []entry{{key: key, value: value}}}
}

// node returns the YAML of a value.
func node(value any) *yaml.Node {
	switch v := value.(type) {
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: escapeVariables(v)}
		if strings.ContainsAny(v, "{}*:") && !strings.ContainsAny(v, "\\\n") {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: strconv.FormatFloat(v, 'g', -1, 64)}
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range v {
			n.Content = append(n.Content, node(s))
		}
		return n
	case []*block:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, b := range v {
			item := node(b)
			item.HeadComment = comments(b.comments)
			n.Content = append(n.Content, item)
		}
		return n
	case *block:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if v.flow {
			n.Style = yaml.FlowStyle
		}
		for _, e := range v.entries {
			key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key, HeadComment: comments(e.comments)}
			if n, err := strconv.Atoi(e.key); err == nil && n > 0 {
				key.Tag = "!!int"
			}
			n.Content = append(n.Content, key, node(e.value))
		}
		return n
	}
	panic(fmt.Sprintf("migrate: a value of type %T", value))
}

// escapeVariables keeps mkd from taking a part of a text for one of its variables.
func escapeVariables(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// comments returns lines as a comment.
func comments(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
				return ' '
			}
			return r
		}, line)
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// encode returns the text of a file.
func encode(root *block) ([]byte, error) {
	n := node(root)
	head := comments(root.comments)
	var b bytes.Buffer
	if head != "" {
		b.WriteString(head + "\n\n")
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// write puts the file together.
func (m *migration) write(http, main *scope, listeners []*listener, routes []*route) (*Result, error) {
	root := &block{}
	lines := append(m.unmoved, http.leftovers()...)
	if main != http {
		lines = append(lines, main.leftovers()...)
	}
	ls := &block{}
	for _, l := range listeners {
		ls.set(l.name, l.block(), l.comments...)
	}
	root.set("listeners", ls)
	bs := &block{}
	for _, b := range m.backends {
		kind := &block{}
		kind.set(b.kind, b.block)
		bs.set(b.name, kind, b.comments...)
	}
	if len(bs.entries) == 0 {
		bs.flow = true
	}
	root.set("backends", bs)
	list := make([]*block, len(routes))
	for i, r := range routes {
		list[i] = r.block()
	}
	root.set("routes", list)
	root.entries = append(root.entries, m.global...)
	from := m.file
	if from == "-" {
		from = "standard input"
	}
	root.comments = []string{fmt.Sprintf("Made by mkd migrate nginx from %s.", from)}
	if m.lost > 0 {
		root.comments = append(root.comments, plural(m.lost, "directive isn't moved: look for it below.", "directives aren't moved: look for \"isn't moved\"."))
	}
	if len(lines) > 0 {
		root.comments = append(append(root.comments, ""), lines...)
	}
	text, err := encode(root)
	if err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return &Result{YAML: text, Lost: m.lost}, nil
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
