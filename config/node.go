package config

import (
	"strings"

	"gopkg.in/yaml.v3"
)

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// describe returns what a node is, in the words of an error.
func (w *walker) describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a block of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case expandedTag:
		return "the value of " + w.show(n)
	case "!!null":
		return "no value"
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		if len(n.Value) <= maxQuoted {
			return "the number " + n.Value
		}
	case "!!timestamp":
		return "the date " + n.Value
	}
	return quote(n.Value)
}

// join returns the path of a key below path. A key that isn't a plain word is
// quoted, so that a path is always one word in a log.
func join(path, key string) string {
	if key == "" || len(key) > maxQuoted || strings.Trim(key, wordBytes+".<") != "" {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// wordBytes are what names are made of.
const wordBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func isName(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, wordBytes) == ""
}
