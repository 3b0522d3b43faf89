package nginxconf

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// show writes directives in one line.
func show(all []*Directive) string {
	var b strings.Builder
	for _, d := range all {
		words, _ := json.Marshal(append([]string{d.Name}, d.Args...))
		b.Write(words)
		if d.Braces {
			b.WriteString("{" + show(d.Block) + "}")
		}
	}
	return strings.ReplaceAll(b.String(), `","`, "|")
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ``},
		{"a;", `["a"]`},
		{"  a  b\tc\n d ; # no\n#e;\n", `["a|b|c|d"]`},
		{"a { b c; d { } }", `["a"]{["b|c"]["d"]{}}`},
		{`a "b c" 'd "e"' "";`, `["a|b c|d \"e\"|"]`},
		{`a "b\"c" 'd\'e' \.php$ \\ \d;`, `["a|b\"c|d'e|\\.php$|\\|\\d"]`},
		{`a b"c d'e;`, `["a|b\"c|d'e"]`},
		{`a b#c;`, `["a|b#c"]`},
		{`a ${b}c {d;}`, `["a|${b}c"]{["d"]}`},
		{`a b}c;`, `["a|b}c"]`},
		{`location ~ "^/\d{2}$" {}`, `["location|~|^/\\d{2}$"]{}`},
		{`if ($host = "a b") { return 301 https://$host$request_uri; }`, `["if|($host|=|a b)"]{["return|301|https://$host$request_uri"]}`},
		{"a 'b\nc';", `["a|b\nc"]`},
		{`a \;b;`, `["a|\\;b"]`},
		{`a \t;`, `["a|\t"]`},
		{`x { content_by_lua_block { if a then b = {1, 2} end } c; }`, `["x"]{["content_by_lua_block"]{}["c"]}`},
	} {
		all, err := Parse("f", c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if have := show(all); have != c.want {
			t.Errorf("%s:\nhave %s\nwant %s", c.text, have, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a", "f:1: the file ends within a, which begins in line 1; a ; is missing"},
		{"a\nb", "f:2: the file ends within a, which begins in line 1; a ; is missing"},
		{"a {", "f:1: the file ends within a block; a } is missing"},
		{"}", "f:1: unexpected }"},
		{"a { b }", "f:1: unexpected } after b; a ; is missing before it"},
		{"\n;", "f:2: unexpected ;"},
		{"{", "f:1: unexpected {"},
		{"a 'b", "f:1: the quote ' isn't closed"},
		{`a "b"c;`, "f:1: a blank is missing after the closing quote"},
		{"a \x00;", "f:1: the file isn't text in UTF-8"},
		{"a \xff;", "f:1: the file isn't text in UTF-8"},
		{strings.Repeat("a{", 100), "f:1: more than 64 blocks are nested"},
		{strings.Repeat(" ", MaxFile+1), "f:1: the file has more than 4 MiB; it can't be a configuration"},
		{"a_by_lua_block {", "f:1: the block of Lua isn't closed"},
	} {
		_, err := Parse("f", c.text)
		var e *Error
		if !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%.40q: have %v, want %s", c.text, err, c.want)
		}
	}
}

func TestPosition(t *testing.T) {
	all, err := Parse("f", "a;\n\nb {\n  c\n  # d\n  e; f \"g\nh\"; i; }")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, d := range append(all, all[1].Block...) {
		have = append(have, d.Position()+" "+d.Text)
	}
	want := []string{"f:1 a", "f:3 b", "f:4 c e", `f:6 f "g h"`, "f:7 i"}
	if !slices.Equal(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"nginx.conf":           "http { include sites-enabled/*; include conf.d/*.conf; include nowhere.conf; include mime.types; }",
		"sites-enabled/.a.swp": "\x00",
		"sites-enabled/a":      "server { include snippets/a.conf; a; }",
		"sites-enabled/b":      "server { b; }",
		"snippets/a.conf":      "x; include ../snippets/b.conf;",
		"snippets/b.conf":      "y;",
		"round.conf":           "a; include round2.conf;",
		"round2.conf":          "include round.conf;",
		"broken.conf":          "a; include broken2.conf;",
		"broken2.conf":         "a;\n}",
		"pattern.conf":         "include [;",
		"sites-enabled/nested": "",
	})
	all, err := Load(filepath.Join(dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if have, want := show(all), `["http"]{["server"]{["x"]["include|../snippets/b.conf"]["a"]}["server"]{["b"]}["include|nowhere.conf"]}`; have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
	// A site of its own finds what is in nginx's folder.
	all, err = Load(filepath.Join(dir, "sites-enabled/a"))
	if err != nil || !strings.Contains(show(all), `["x"]`) {
		t.Errorf("have %s, %v", show(all), err)
	}
	if at := all[0].Block[0].Position(); !strings.HasSuffix(at, "snippets/a.conf:1") {
		t.Errorf("position %s", at)
	}
	for name, want := range map[string]string{
		"round.conf":   "includes itself",
		"broken.conf":  "broken2.conf:2: unexpected }",
		"pattern.conf": "pattern.conf:1: include [: syntax error in pattern",
		"missing.conf": "no such file or directory",
	} {
		if _, err := Load(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v, want %s", name, err, want)
		}
	}
}

// TestLoadBounded includes a file many times.
func TestLoadBounded(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"9": "x;"}
	for i := range 9 {
		files[string(rune('0'+i))] = strings.Repeat("include "+string(rune('1'+i))+";\n", 10)
	}
	write(t, dir, files)
	if _, err := Load(filepath.Join(dir, "0")); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("have %v", err)
	}
}

// quoteWord writes a word so that it is read as it is.
func quoteWord(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

func render(all []*Directive) string {
	var b strings.Builder
	for _, d := range all {
		for _, word := range append([]string{d.Name}, d.Args...) {
			b.WriteString(quoteWord(word) + " ")
		}
		if d.Braces {
			b.WriteString("{ " + render(d.Block) + "}\n")
		} else {
			b.WriteString(";\n")
		}
	}
	return b.String()
}

// FuzzParse writes what was read, and reads it again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a;", `location ~ "\.php$" { fastcgi_pass unix:/a.sock; }`, `a "b\"c" 'd' ${e}f;`, "if ($a = \"b\") {}", "map $a $b { default 1; ~^x 2; }",
		"x_by_lua_block { {} }", "a # b\n;", "a\\;b;", "}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Parse("f", text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		if strings.Contains(text, "_by_lua_block") {
			return // what it has is left out
		}
		again, err := Parse("f", render(all))
		if err != nil {
			t.Fatalf("%v\n%s", err, render(all))
		}
		if !reflect.DeepEqual(strings.Split(show(all), "["), strings.Split(show(again), "[")) {
			t.Errorf("have %s\nthen %s", show(all), show(again))
		}
	})
}
