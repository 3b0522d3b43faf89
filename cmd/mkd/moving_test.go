package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"mkd/config"
	"mkd/migrate"
)

// movingTables returns the rows of the tables of docs/moving.md, by the first cell of
// their heads.
func movingTables(t *testing.T) map[string][][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/moving.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := make(map[string][][]string)
	head := ""
	for _, line := range strings.Split(string(page), "\n") {
		if !strings.HasPrefix(line, "| ") {
			head = ""
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "| "), " | ") {
			cells = append(cells, strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|"))
		}
		switch {
		case head == "":
			head = cells[0]
		case cells[0] != "---":
			tables[head] = append(tables[head], cells)
		}
	}
	return tables
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// spans returns what a cell has in backticks.
func spans(cell string) (texts []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// ours returns the keys that a cell gives, as YAML: each in a span of its own, up to
// the semicolon or the period behind which the cell explains.
func ours(cell string) (texts []string) {
	if strings.HasPrefix(cell, "nothing") {
		return nil
	}
	inCode := false
	for i, r := range cell {
		if r == '`' {
			inCode = !inCode
		} else if !inCode && (r == ';' || r == ':' || strings.HasPrefix(cell[i:], ". ")) {
			cell = cell[:i]
			break
		}
	}
	for _, span := range spans(cell) {
		if strings.Contains(span, ": ") {
			texts = append(texts, span)
		}
	}
	return texts
}

// TestMovingNginx migrates the left sides of docs/moving.md: the result has what is on
// their right sides, and is valid.
func TestMovingNginx(t *testing.T) {
	rows := movingTables(t)["nginx"]
	if len(rows) < 30 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		line := spans(row[0])[0]
		dir := t.TempDir()
		var outside, inside []string
		for _, d := range splitDirectives(line) {
			if name, _, _ := strings.Cut(d, " "); slices.Contains([]string{"upstream", "map", "limit_req_zone", "set_real_ip_from", "real_ip_header", "access_log", "error_log"}, name) {
				outside = append(outside, d)
			} else {
				inside = append(inside, d)
			}
		}
		server := strings.Join(inside, "\n")
		if strings.Contains(line, "ssl") && !strings.Contains(line, "listen") {
			server = "listen 443 ssl; ssl_certificate /etc/ssl/a.crt; ssl_certificate_key /etc/ssl/a.key;" + server
		}
		if !strings.Contains(line, "root ") && !strings.Contains(line, "return ") && !strings.Contains(line, "_pass ") {
			server += "\nroot /srv/site;"
		}
		if !strings.Contains(line, "location / ") && !strings.Contains(line, "return 301 https://$host") && !strings.Contains(server, "root ") {
			server += "\nlocation / { return 404; }"
		}
		conf := filepath.Join(dir, "nginx.conf")
		text := strings.Join(outside, "\n") + "\nserver {\n" + server + "\n}\n"
		text = movedFiles(t, dir, text)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		result, err := migrate.Nginx(conf)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if result.Lost > 0 && !strings.HasPrefix(line, "access_log off") {
			t.Errorf("%s: directives are lost:\n%s", line, result.YAML)
		}
		have := parseYAML(t, string(result.YAML))
		for _, want := range ours(row[1]) {
			if !within(have, parseYAML(t, strings.NewReplacer("/srv/", dir+"/srv/", "/etc/ssl/", dir+"/etc/ssl/").Replace(want))) {
				t.Errorf("%s: the result hasn't %s:\n%s", line, want, result.YAML)
			}
		}
		if len(ours(row[1])) == 0 && !strings.HasPrefix(row[1], "nothing: ") {
			t.Errorf("%s: the row has nothing to compare", line)
		}
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, result.YAML, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path); err != nil {
			t.Errorf("%s: %v\n%s", line, err, result.YAML)
		}
	}
}

// TestNotMoved migrates what stays a comment by docs/moving.md: it does, and the rest of
// the site is valid.
func TestNotMoved(t *testing.T) {
	rows := movingTables(t)["not moved"]
	if len(rows) < 10 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		for _, line := range spans(row[0]) {
			name, _, _ := strings.Cut(line, " ")
			outside, inside := "", line
			if name == "map" || name == "geo" {
				outside, inside = line, ""
			}
			dir := t.TempDir()
			conf, path := filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "config.yaml")
			text := movedFiles(t, dir, outside+"\nserver { root /srv/site; location /a/ { "+inside+" } location / { return 404; } }")
			if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			result, err := migrate.Nginx(conf)
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if result.Lost == 0 || !strings.Contains(string(result.YAML), ": "+name) {
				t.Errorf("%s: it is moved:\n%s", line, result.YAML)
			}
			if strings.Contains(string(result.YAML), "mkd has nothing like it") && name != "rewrite_log" {
				t.Errorf("%s: the comment gives no reason:\n%s", line, result.YAML)
			}
			if err := os.WriteFile(path, result.YAML, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path); err != nil {
				t.Errorf("%s: %v\n%s", line, err, result.YAML)
			}
		}
	}
}

// splitDirectives splits a line at the ends of its directives and blocks.
func splitDirectives(line string) (all []string) {
	depth, begin := 0, 0
	for i := range len(line) {
		switch line[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 && (line[i] == ';' || line[i] == '}') {
			all = append(all, strings.TrimSpace(line[begin:i+1]))
			begin = i + 1
		}
	}
	return all
}

// movedFiles moves the files that a configuration names to a folder, and makes them.
func movedFiles(t *testing.T, dir, text string) string {
	t.Helper()
	for _, folder := range []string{"srv/site", "srv/static", "srv/private", "etc/ssl"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"etc/ssl/a.crt", "etc/ssl/a.key", "etc/ssl/ca.crt", "srv/private/htpasswd", "srv/site/404.html", "srv/site/50x.html"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return strings.NewReplacer("/srv/", dir+"/srv/", "/etc/ssl/", dir+"/etc/ssl/").Replace(text)
}

func parseYAML(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// within reports whether a value has another in it, at any depth: maps may have more
// keys, but all else is the same.
func within(have, want any) bool {
	if contains(have, want) {
		return true
	}
	switch have := have.(type) {
	case map[string]any:
		for _, below := range have {
			if within(below, want) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(have, func(below any) bool { return within(below, want) })
	}
	return false
}

func contains(have, want any) bool {
	w, ok := want.(map[string]any)
	h, same := have.(map[string]any)
	if !ok || !same {
		return fmt.Sprint(have) == fmt.Sprint(want)
	}
	for key, value := range w {
		if below, has := h[key]; !has || !contains(below, value) {
			return false
		}
	}
	return true
}

// TestMovingOthers checks the right sides of the tables about Caddy and RoadRunner.
func TestMovingOthers(t *testing.T) {
	for head, least := range map[string]int{"Caddyfile": 25, ".rr.yaml": 15} {
		rows := movingTables(t)[head]
		if len(rows) < least {
			t.Errorf("%s: %d rows", head, len(rows))
		}
		for _, row := range rows {
			if len(row) != 2 {
				t.Errorf("%s: %q", head, row)
				continue
			}
			dir := t.TempDir()
			t.Setenv("NAME", "")
			texts := ours(row[1])
			if span := spans(row[1]); len(texts) == 0 && len(span) > 0 && strings.HasPrefix(span[0], `"`) {
				texts = []string{"name: " + span[0]} // a value
			}
			if len(texts) == 0 {
				t.Errorf("%s: nothing to check", row[0])
				continue
			}
			path := filepath.Join(dir, "config.yaml")
			for _, file := range []string{"worker.php", "public/a", "src/a"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text := movedFiles(t, dir, complete(t, texts))
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path); err != nil {
				t.Errorf("%s: %v\n%s", row[0], err, text)
			}
		}
	}
}

// complete makes a file of keys: each goes where it belongs.
func complete(t *testing.T, texts []string) string {
	t.Helper()
	root := map[string]any{}
	listeners, backends := map[string]any{}, map[string]any{}
	route := map[string]any{}
	for _, text := range texts {
		for key, value := range parseYAML(t, text).(map[string]any) {
			block, _ := value.(map[string]any)
			_, listens := block["address"]
			switch {
			case (key == "https" || key == "http") && listens:
				listeners[fmt.Sprint("l", len(listeners))] = map[string]any{key: value}
			case slices.Contains([]string{"php", "http", "fastcgi", "files"}, key):
				backends["site"] = map[string]any{key: value}
			case slices.Contains([]string{"log", "admin", "trusted_proxies", "include"}, key):
				root[key] = value
			default:
				route[key] = value
			}
		}
	}
	if len(listeners) == 0 {
		listeners["l"] = map[string]any{"http": map[string]any{"address": "127.0.0.1:8080"}}
	}
	if len(backends) == 0 {
		backends["site"] = map[string]any{"files": map[string]any{"root": "."}}
	}
	if route["redirect"] == nil && route["respond"] == nil {
		route["backend"] = "site"
	}
	root["listeners"], root["backends"] = listeners, backends
	root["routes"] = []any{route}
	text, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMovingCommands finds the commands that the tables name.
func TestMovingCommands(t *testing.T) {
	tables := movingTables(t)
	for _, head := range []string{"command of nginx", "command of Caddy", "command of RoadRunner"} {
		if len(tables[head]) == 0 {
			t.Errorf("there is no table %s", head)
		}
		for _, row := range tables[head] {
			words := strings.Fields(spans(row[1])[0])
			root := rootCommand()
			if cmd, rest, err := root.Find(words[1:]); err != nil || cmd == root || len(rest) > 0 || words[0] != "mkd" {
				t.Errorf("%s: there is no command %q", row[0], words)
			}
		}
	}
}
