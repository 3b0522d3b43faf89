package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"mkd/config"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// TestSnippets reads each piece of a configuration that the pages show, with what is left
// out around it: it is valid but for files that aren't here.
func TestSnippets(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			var piece map[string]any
			if err := yaml.Unmarshal([]byte(block[1]), &piece); err != nil {
				t.Errorf("%s: %v:\n%s", page, err, block[1])
				continue
			}
			if piece["scrape_configs"] != nil { // of Prometheus
				continue
			}
			found++
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(around(block[1], piece)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = config.Load(path)
			var all config.Errors
			if err != nil && !errors.As(err, &all) {
				t.Fatal(err)
			}
			for _, e := range all {
				if !strings.Contains(e.Message, "doesn't exist") && !strings.Contains(e.Message, "can't read") {
					t.Errorf("%s: %v, in\n%s", page, e, block[1])
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d pieces were found", found)
	}
}

// around makes a whole configuration of a piece of one, which piece has parsed.
func around(text string, piece map[string]any) string {
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
	for _, kind := range []string{"php", "http", "fastcgi", "files"} {
		if piece[kind] != nil {
			return "backends:\n  site:\n" + indented + around("", map[string]any{"backends": true})
		}
	}
	if piece["compress"] != nil {
		return "routes:\n  - respond: {}\n" + indented + around("", map[string]any{"routes": []any{}})
	}
	if piece["listeners"] == nil {
		text += "listeners: {web: {http: {address: '127.0.0.1:8080'}}}\n"
	}
	routes, _ := piece["routes"].([]any)
	if piece["routes"] == nil {
		text += "routes: [{respond: {}}]\n"
	}
	if names := backendsOf(routes); piece["backends"] == nil && len(names) > 0 {
		text += "backends:\n"
		for _, name := range names {
			text += "  " + name + ": {files: {root: .}}\n"
		}
	}
	return text
}

// backendsOf returns the names of the backends that routes lead to, each once.
func backendsOf(routes []any) (names []string) {
	for _, r := range routes {
		route := r.(map[string]any)
		if name, ok := route["backend"].(string); ok {
			names = append(names, name)
		}
		if inner, ok := route["routes"].([]any); ok {
			names = append(names, backendsOf(inner)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
