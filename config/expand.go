package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// expandedTag is the YAML type of a value with variables in it: it takes the type
// of its key.
const expandedTag = "!!expanded"

// secret is a value that no message shows, and what is shown in its place.
type secret struct{ value, shown string }

// maxExpanded is how long a value may become, in bytes.
const maxExpanded = 64 << 10

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}`)

// expand replaces the variables of a text: ${NAME}, ${NAME:-default}, and $${,
// which is ${ itself. A default is also used for a variable that is empty, as in a
// shell. What replaces a variable isn't expanded again. values has one for each
// variable.
func expand(text string, getenv func(string) (string, bool)) (expanded string, values []secret, err error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		b.WriteString(before)
		switch {
		case b.Len() > maxExpanded:
			return "", nil, fmt.Errorf("with its variables it has more than %v", Size(maxExpanded))
		case !found:
			return b.String(), values, nil
		case strings.HasSuffix(before, "$"): // the first half of $${
			b.WriteByte('{')
			text = after
			continue
		}
		parts := variable.FindStringSubmatch("${" + after)
		if parts == nil {
			return "", nil, errors.New("want ${NAME} or ${NAME:-default}; write $${ for a ${ that is no variable")
		}
		value, set := getenv(parts[1])
		fallback, hasDefault := strings.CutPrefix(parts[2], ":-")
		values = append(values, secret{value, "${" + parts[1] + "}"})
		switch {
		case hasDefault && value == "":
			value = fallback
		case !set && !hasDefault:
			return "", nil, fmt.Errorf("the environment variable %s isn't set; set it, or give a default, as in ${%[1]s:-default}", parts[1])
		}
		b.WriteString(value)
		text = after[len(parts[0])-len("${"):]
	}
}

// expand returns the node n with its variables replaced, n itself if it has none.
func (w *walker) expand(n *yaml.Node, path string) (*yaml.Node, bool) {
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "${") {
		return n, true
	}
	value, values, err := expand(n.Value, w.sys.getenv)
	if err != nil {
		w.errorf(n, path, "%v", err)
		return nil, false
	}
	if len(values) == 0 { // $${ alone
		return &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: value, Line: n.Line, Column: n.Column, Style: n.Style}, true
	}
	w.secrets = append(w.secrets, values...)
	e := &yaml.Node{Kind: n.Kind, Tag: expandedTag, Value: value, Line: n.Line, Column: n.Column}
	w.written[e] = n.Value
	return e, true
}

// isExpanded reports whether a value has variables in it.
func isExpanded(n *yaml.Node) bool { return n.Tag == expandedTag }

// show returns a value as the file has it, in quotes.
func (w *walker) show(n *yaml.Node) string {
	if isExpanded(n) {
		return quote(w.written[n])
	}
	return quote(n.Value)
}

// redact returns a message without values that came from the environment.
func (w *walker) redact(message string) string {
	for _, s := range w.secrets {
		if s.value != "" {
			message = replaceWord(message, s.value, s.shown)
		}
	}
	return message
}

// replaceWord replaces old where it isn't a part of a longer word or number.
func replaceWord(text, old, by string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, old)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(old)
		if i > 0 && inWord(text[i-1]) && inWord(old[0]) || end < len(text) && inWord(text[end]) && inWord(old[len(old)-1]) {
			b.WriteString(text[:i+1])
			text = text[i+1:]
			continue
		}
		b.WriteString(text[:i] + by)
		text = text[end:]
	}
}

func inWord(c byte) bool { return strings.IndexByte(wordBytes, c) >= 0 }

// hint returns what to write instead of a value that a check rejects with err. For
// a value with variables it is what the check wants in general, since err may
// repeat the value.
func (w *walker) hint(n *yaml.Node, err error, check func(string) error) error {
	if !isExpanded(n) {
		return err
	}
	return cmp.Or(check("?"), errors.New("its variables make it one that isn't valid here"))
}
