package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile is the largest configuration file, in bytes.
const maxFile = 1 << 20

// Load reads a configuration file, checks it, and fills in the defaults. Paths
// in the result start at the folder of the file: they are relative if path is.
//
// If the file can't be read, the error wraps its cause. If it isn't valid, the
// error is of type Errors, and has all that is wrong.
func Load(path string) (*Config, error) {
	return machine.load(path)
}

func (s system) load(path string) (*Config, error) {
	data, err := s.readConfig(path)
	if err != nil {
		return nil, err
	}
	return s.parse(path, data, filepath.Dir(path))
}

func (s system) readConfig(path string) ([]byte, error) {
	data, err := s.readFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return data, nil
}

// parse is Load for the content of a file. name is for errors, and dir is where
// relative paths start.
func (s system) parse(name string, data []byte, dir string) (*Config, error) {
	root, err := parseYAML(name, data)
	if err != nil {
		return nil, err
	}
	w := newWalker(s, &source{name, dir})
	cfg := new(Config)
	w.document(cfg, root)
	if !w.spent {
		w.check(cfg)
	}
	if len(w.errs) > 0 {
		w.sort(w.errs)
		return nil, Errors(w.errs)
	}
	w.warn(cfg)
	w.sort(w.warnings)
	cfg.Warnings = w.warnings
	w.notePositions(cfg)
	return cfg, nil
}

// parseYAML returns the root node of the one document that a file must hold.
func parseYAML(name string, data []byte) (*yaml.Node, error) {
	if line, column, what := badText(data); what != "" {
		return nil, Errors{{File: name, Line: line, Column: column, Message: what}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		return nil, Errors{{File: name, Line: 1, Column: 1, Message: "the file is empty; it needs listeners, backends and routes"}}
	}
	if err != nil {
		return nil, Errors{syntaxError(name, data, err)}
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, Errors{syntaxError(name, data, err)}
	}
	return nil, Errors{{File: name, Line: second.Line, Column: second.Column,
		Message: "a second YAML document starts here; a configuration is one document: take out the line ---"}}
}

// badText returns the place of the first character that a YAML file can't have
// (YAML 1.2, section 5.1), and what is wrong with it. The parser knows that
// too, but not where.
func badText(data []byte) (line, column int, what string) {
	line, column = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column, "this isn't UTF-8; save the file as UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', 0x7f <= r && r < 0xa0 && r != 0x85,
			r == 0xfeff && i > 0, r == 0xfffe, r == 0xffff:
			return line, column, fmt.Sprintf("the character %U isn't allowed in a YAML file; take it out", r)
		case r == '\n':
			line, column = line+1, 0
		}
		i += size
		column++
	}
	return 0, 0, ""
}

// syntaxError gives an error of the YAML parser its position. The parser reports
// the line at most, and counts it from 0 where its grammar fails, from 1 where its
// scanner does.
func syntaxError(name string, data []byte, err error) Error {
	e := Error{File: name, Line: 1, Column: 1}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	grammar := grammarFails(text)
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				e.Line, text = line, after
				if grammar {
					e.Line++
				}
			}
		}
	}
	e.Message = "this isn't YAML: " + text
	if anchor, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
		anchor, _, _ = strings.Cut(anchor, "'")
		if before, _, ok := bytes.Cut(data, []byte("*"+anchor)); ok {
			e.Line = bytes.Count(before, []byte("\n")) + 1
			e.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
		}
	}
	switch {
	case strings.HasSuffix(text, "did not find expected alphabetic or numeric character"):
		e.Line, e.Column, e.Message = badAlias(data, e.Line)
	case strings.Contains(text, "cannot start any token") && hasTab(data, e.Line):
		e.Message += "; indent with spaces, not with tabs"
	case grammar && unquotedVariable.MatchString(lineOf(data, e.Line)):
		e.Message += "; within brackets a variable must be in quotes: " + quote(unquotedVariable.FindStringSubmatch(lineOf(data, e.Line))[1])
	case grammar, strings.Contains(text, "mapping values are not allowed"):
		e.Message += "; look at the indentation, and put quotes around a value that has a colon or a bracket in it"
	}
	return e
}

// badAlias returns the place and the message of an error about a * or & that no
// name follows. The parser reports a line near it.
func badAlias(data []byte, near int) (line, column int, message string) {
	const what = "this isn't YAML: a %c begins %s here; a value that begins with it must be in quotes%s"
	lines := strings.Split(string(data), "\n")
	for _, i := range []int{near - 1, near, near - 2} {
		if i < 0 || i >= len(lines) {
			continue
		}
		at := unquotedMark.FindStringSubmatchIndex(lines[i])
		if at == nil {
			continue
		}
		mark, example := lines[i][at[2]], ""
		if word := strings.Trim(lines[i][at[2]:at[3]], " \t\r"); len(word) > 1 && len(word) <= maxQuoted {
			example = fmt.Sprintf(", as in %q", word)
		}
		column := utf8.RuneCountInString(lines[i][:at[2]]) + 1
		if mark == '*' {
			return i + 1, column, fmt.Sprintf(what, mark, "an alias", example)
		}
		return i + 1, column, fmt.Sprintf(what, mark, "an anchor", example)
	}
	return near, 1, "this isn't YAML: a * begins an alias, and an & an anchor; put values that begin with them in quotes"
}

// unquotedMark finds a value that begins with a * or & and has no name there.
var unquotedMark = regexp.MustCompile(`(?:^|[\[{,\s])([*&](?:$|[^\w\-\s][^\s,\]}]*|\s))`)

// grammarFails reports whether an error of the YAML parser comes from its
// grammar rather than its scanner.
func grammarFails(text string) bool {
	for _, what := range []string{"'<document start>'", "node content", "'-' indicator", "key", "',' or ']'", "',' or '}'"} {
		if strings.HasSuffix(text, "did not find expected "+what) {
			return true
		}
	}
	return false
}

// hasTab reports whether a line, counted from 1, is indented with a tab.
func hasTab(data []byte, line int) bool {
	text := lineOf(data, line)
	return strings.Contains(text[:len(text)-len(strings.TrimLeft(text, " \t"))], "\t")
}

// lineOf returns a line, counted from 1, "" if there is none.
func lineOf(data []byte, line int) string {
	lines := bytes.SplitN(data, []byte("\n"), line+1)
	if line < 1 || line > len(lines) {
		return ""
	}
	return string(lines[line-1])
}

// unquotedVariable finds a variable within the brackets of YAML's flow style.
var unquotedVariable = regexp.MustCompile(`[\[{,].*[\[{,:]\s*([^"'\s,\[{]*\$\{[^}"'\s]*\})`)
