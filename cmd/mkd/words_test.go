package main

import (
	"go/ast"
	"go/parser"
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
// word of the field. They are looked for in comments, in texts of the program and
// in identifiers; a rule for identifiers alone begins with "name:", one for
// comments and texts with "text:". Words are compared in lower case.
var retired = []struct{ words, say string }{
	{"door|doors", "listener"},
	{"answer|answers|answered|answering", "response, respond, write the response"},
	{"name:gate", "handler"},
	{"name:^(instead|only|ahead|places?|hurry)$", "handover, override, intercept; slot; kill"},
	{"text:tells?|told|says|said", "returns, reports, logs"},
	{"text:under way", "in flight"},
	{"text:in whole|is ahead|are ahead", "whole response received, buffered"},
	{"text:have nothing to do|has nothing to do|had nothing to do", "idle"},
	{"text:who asks", "client address, remote address"},
	{"text:stands|stand beside|stand in|stood", "is, exists, appears, applies"},
	{"mend|mends|mended|mending", "fix, repair"},
}

// notYet are the folders, with those below them, that are still to be rewritten,
// and rewritten are those among them that are done.
var (
	notYet    = []string{}
	rewritten = []string{"proxy/backend", "proxy/balance", "proxy/certs", "proxy/fastcgi", "proxy/forward", "proxy/http1", "proxy/httpmsg", "proxy/listen",
		"proxy/listener", "proxy/logs", "proxy/ratelimit", "proxy/request", "proxy/roundtrip", "proxy/route", "proxy/site", "proxy/upstream"}
)

func isNotYet(path string) bool {
	in := func(dir string) bool { return strings.HasPrefix(path, dir+"/") }
	return slices.ContainsFunc(notYet, in) && !slices.ContainsFunc(rewritten, in)
}

// allowed are lines that have a retired word in another meaning.
var allowed = []string{
	`tells? .* apart`,
	`stands? (still|for)`,
	`in whole numbers`,
	`reply\.Answer`,   // of DNS
	`you said "hello`, // a response of an example
}

func TestWords(t *testing.T) {
	type rule struct {
		say        string
		name, text *regexp.Regexp // nil: not looked for
	}
	var rules []rule
	for _, r := range retired {
		kind, words, ok := strings.Cut(r.words, ":")
		if !ok {
			kind, words = "", kind
		}
		re := regexp.MustCompile(`(?i)\b(` + words + `)\b`)
		made := rule{say: r.say}
		if kind != "text" {
			made.name = re
		}
		if kind != "name" {
			made.text = re
		}
		rules = append(rules, made)
	}
	exceptions := regexp.MustCompile("(?i)" + strings.Join(allowed, "|"))
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || filepath.Base(path) == "words_test.go" {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		if isNotYet(rel) {
			return nil
		}
		for _, w := range wordsOf(t, path) {
			if exceptions.MatchString(w.line) {
				continue
			}
			for _, r := range rules {
				re := r.text
				if w.name {
					re = r.name
				}
				if re == nil {
					continue
				}
				if found := re.FindString(w.text); found != "" {
					t.Errorf("%s:%d: %q: say %s", rel, w.number, found, r.say)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// word is an identifier, split into its words, or a line of a comment or text.
type word struct {
	name   bool
	text   string
	line   string // in which it is
	number int
}

// wordsOf returns the words of a file. Texts of tests, which may be what a client
// sends, aren't among them.
func wordsOf(t *testing.T, path string) (words []word) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(src), "\n")
	files := token.NewFileSet()
	file := files.AddFile(path, -1, len(src))
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
				words = append(words, word{false, line, line, number + i})
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

// TestErrorNames: errors are named ErrX, errX or XError.
func TestErrorNames(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || isNotYet(strings.TrimPrefix(filepath.ToSlash(path), "../../")) {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					v, ok := spec.(*ast.ValueSpec)
					if !ok || d.Tok != token.VAR {
						continue
					}
					for i, value := range v.Values {
						if name := v.Names[i].Name; makesError(value) && !strings.HasPrefix(name, "Err") && !strings.HasPrefix(name, "err") {
							t.Errorf("%s: the error %s: name it Err… or err…", path, name)
						}
					}
				}
			case *ast.FuncDecl:
				if d.Recv == nil || d.Name.Name != "Error" || d.Type.Params.NumFields() != 0 {
					continue
				}
				typ := d.Recv.List[0].Type
				if p, ok := typ.(*ast.StarExpr); ok {
					typ = p.X
				}
				if name, ok := typ.(*ast.Ident); ok && !regexp.MustCompile(`([Ee]rror|Errors)$`).MatchString(name.Name) {
					t.Errorf("%s: the error type %s: name it …Error", path, name.Name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// makesError reports whether an expression is a call of errors.New or fmt.Errorf.
func makesError(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (f.Sel.Name == "Errorf" || f.Sel.Name == "New" && f.X.(*ast.Ident).Name == "errors")
}
