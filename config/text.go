package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// text checks a string, and resolves it if it is a path.
func (w *walker) text(v reflect.Value, f field, n *yaml.Node, path string) bool {
	s := n.Value
	if len(f.oneOf) > 0 {
		if slices.Contains(f.oneOf, s) {
			return true
		}
		hint := ""
		if near := w.suggest(s, f.oneOf); near != "" && !isExpanded(n) {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		w.errorf(n, path, "got %s; want %s%s", w.describe(n), alternatives(f.oneOf), hint)
		return false
	}
	if s == "" {
		if f.required || f.kind || f.hasDef && f.def != "" {
			w.errorf(n, path, "it is empty; give it a value%s", orLeaveOut(f))
			return false
		}
		return true
	}
	if strings.ContainsRune(s, 0) {
		w.errorf(n, path, "got %s; a NUL isn't allowed", w.describe(n))
		return false
	}
	if err := checkFormat(f.format, s); err != nil {
		w.errorf(n, path, "got %s; %v", w.describe(n), w.hint(n, err, func(s string) error { return checkFormat(f.format, s) }))
		return false
	}
	if f.path != notPath {
		resolved, ok := w.resolve(s, f.path, n, path)
		v.SetString(resolved)
		return ok
	}
	return true
}

func orLeaveOut(f field) string {
	if f.hasDef {
		return ", or leave the key out for " + f.def
	}
	return ""
}

// alternatives returns "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
