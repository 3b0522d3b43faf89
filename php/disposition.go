package php

import (
	"strings"
	"unicode"
)

// disposition is the Content-Disposition of a part.
type disposition struct {
	name, file       string
	hasName, hasFile bool
}

// parseDisposition parses a Content-Disposition field as PHP does: browsers don't
// escape names as RFC 7578 requires.
func parseDisposition(s string) (d disposition) {
	for s != "" {
		var word string
		word, s = cutUnquoted(strings.TrimLeftFunc(s, unicode.IsSpace), ';')
		s = strings.TrimLeft(s, ";")
		key, value := cutUnquoted(word, '=')
		if len(key) == len(word) {
			continue
		}
		switch value = unquote(strings.TrimLeft(value, "=")); strings.ToLower(key) {
		case "name":
			d.name, d.hasName = value, true
		case "filename":
			d.file, d.hasFile = value, true
		}
	}
	return d
}

// cutUnquoted cuts a text before a character outside of quotes.
func cutUnquoted(s string, at byte) (before, after string) {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote == 0 && c == at:
			return s[:i], s[i:]
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == '\\' && i+1 < len(s) && s[i+1] == quote:
			i++
		case c == quote:
			quote = 0
		}
	}
	return s, ""
}

// unquote returns the value of a parameter without its quotes. A NUL ends it, as in
// PHP.
func unquote(s string) string {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	var quote byte
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		quote, s = s[0], s[1:]
	} else if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		s = s[:i]
	}
	var b strings.Builder
	for i := 0; i < len(s) && s[i] != 0 && (quote == 0 || s[i] != quote); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\\' || quote != 0 && s[i+1] == quote) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// nests reports whether PHP accepts the name of a file's field: its brackets, if
// any, are closed, and each opens where another was closed.
func nests(field string) bool {
	open := 0
	for i := range len(field) {
		switch field[i] {
		case '[':
			open++
		case ']':
			open--
			if open < 0 || i+1 < len(field) && field[i+1] != '[' {
				return false
			}
		}
	}
	return open == 0
}
