package main

import (
	"cmp"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// retired are words that this project once used in a meaning of its own, and the
// words of the field in their place. name is for identifiers, whose words are
// separated by spaces; text is for comments and texts of Go, and for all of other
// sources and documents.
// "" looks for nothing.
var retired = []struct{ name, text, say string }{
	{"doors?", "doors?", "listener"},
	{"answer(s|ed|ing)?", "answer(s|ed|ing)?", "response, respond, write the response"},
	{"gates?", "gates?", "handler"},
	{"", "(has|have|had) (the|an?|its|each|all) (\\w+)( \\w+)? (serve|respond|leave|take over|accept|send|ask)|(has|have|had) (mkd|next|it) (serve|respond|leave|run|send)", "serves, calls, makes"},
	{"^exchanges?$", "", "request, request state"},
	{"^instead$|^only$|^ahead$", "", "handover, override, intercept"},
	{"^places?$|^hurry$", "hurr(y|ies|ied)", "slot; kill"},
	{"", "tells?|told|says|said", "returns, reports, logs"},
	{"", "under way", "in flight"},
	{"", "in whole|(is|are) ahead", "whole response received, buffered"},
	{"", "(have|has|had) nothing to do", "idle"},
	{"", "who asks", "client address, remote address"},
	{"", "stands|stand (beside|in)|stood", "is, exists, appears, applies"},
	{"mend(s|ed|ing)?", "mend(s|ed|ing)?", "fix, repair"},
}

// stems are what each retired word has a part of, in lower case.
var stems = []string{"door", "answer", "gate", "exchange", "instead", "only", "ahead", "place", "hurr", "has ", "have ", "had ", "tell", "told", "say", "said",
	"under way", "in whole", "nothing to do", "who asks", "stand", "stood", "mend"}

// hasStem reports whether a text may have a retired word. It is much faster than the
// expressions.
func hasStem(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(stems, func(stem string) bool { return strings.Contains(text, stem) })
}

// TestStems looks up a stem for each alternative of the retired words.
func TestStems(t *testing.T) {
	group := regexp.MustCompile(`\([^)]*\)`) // of endings, and of words around
	for _, r := range retired {
		for _, expression := range []string{r.name, r.text} {
			for word := range strings.SplitSeq(group.ReplaceAllString(expression, ""), "|") {
				if word = strings.Trim(word, "^$? "); word != "" && !hasStem(word) {
					t.Errorf("%q has no stem", word)
				}
			}
		}
	}
}

// allowed are parts of lines that have a retired word in another meaning.
var allowed = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`tells? .* apart`,
	`tell from another`,
	`stands? (still|for)`,
	`in whole numbers`,
	`reply\.Answer|\.Exchange\(`, // of DNS
	`you said`,                   // a response of examples
}, "|"))

// TestWords finds no retired word in the source and the documents.
func TestWords(t *testing.T) {
	var names, texts []string // one group for each of retired; ^$ never matches, as it has no word boundary
	for _, r := range retired {
		group := func(s string) string { return "(" + strings.ReplaceAll(cmp.Or(s, "^$"), "(", "(?:") + ")" }
		names, texts = append(names, group(r.name)), append(texts, group(r.text))
	}
	expression := map[bool]*regexp.Regexp{
		true:  regexp.MustCompile(`(?i)\b(?:` + strings.Join(names, "|") + `)\b`),
		false: regexp.MustCompile(`(?i)\b(?:` + strings.Join(texts, "|") + `)\b`),
	}
	seen := make(map[word]bool) // identifiers and lines without a retired word
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "words_test.go" {
			return err
		}
		var words []word
		switch filepath.Ext(path) {
		case ".go":
			words = wordsOf(t, path)
		case ".md", ".yaml", ".php", ".txtar", ".c", ".h", ".java", ".js", ".py", ".sh":
			for i, line := range readLines(t, path) {
				words = append(words, word{text: line, number: i + 1})
			}
		}
		for _, w := range words {
			key := word{name: w.name, text: w.text}
			if seen[key] || !hasStem(w.text) {
				continue // most identifiers are there many times
			}
			found := expression[w.name].FindStringSubmatch(w.text)
			if seen[key] = found == nil; found == nil || allowed.MatchString(cmp.Or(w.line, w.text)) {
				continue
			}
			i := 1 + slices.IndexFunc(found[1:], func(group string) bool { return group != "" })
			t.Errorf("%s:%d: %q: say %s", filepath.ToSlash(path), w.number, found[0], retired[i-1].say)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

// word is an identifier, split into its words, or a line of a comment or text.
type word struct {
	name   bool
	text   string
	line   string // of an identifier
	number int
}

// wordsOf returns the words of a file of Go. Texts of tests, which may be what a
// client sends, aren't among them.
func wordsOf(t *testing.T, path string) (words []word) {
	t.Helper()
	lines := readLines(t, path)
	src := []byte(strings.Join(lines, "\n"))
	file := token.NewFileSet().AddFile(path, -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		number := file.Line(pos)
		switch {
		case tok == token.EOF:
			return words
		case tok == token.IDENT:
			words = append(words, word{true, splitWords(lit), lines[number-1], number})
		case tok == token.COMMENT, tok == token.STRING && !strings.HasSuffix(path, "_test.go"):
			for i, line := range strings.Split(lit, "\n") {
				words = append(words, word{text: line, number: number + i})
			}
		}
	}
}

// splitWords returns "http Upstream Error" for "httpUpstreamError".
func splitWords(name string) string {
	var b strings.Builder
	previous := ' '
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(previous) || r == '_' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		previous = r
	}
	return b.String()
}
