package main

import (
	"bufio"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func architecture(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// module is the project's path, which `make module` changes.
func module(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// leftOut are the packages that the picture leaves out, and
// the programs that aren't part of the daemon.
var leftOut = regexp.MustCompile(`^(config|proxy/logs|share|spill|httpfield|metavar|histogram|rawio|cores|internal/.*|examples/.*|vectors/.*|clients/.*|bench)$`)

// TestPackageGraph compares the picture in docs/architecture.md with the
// imports.
func TestPackageGraph(t *testing.T) {
	page := architecture(t)
	_, picture, _ := strings.Cut(page, "```mermaid\n")
	picture, _, _ = strings.Cut(picture, "```")
	names := map[string]string{} // by their ids in the picture
	for _, m := range regexp.MustCompile(`(\w+)\[([\w/]+)(?:<br>[^\]]*)?\]`).FindAllStringSubmatch(picture, -1) {
		names[m[1]] = m[2]
	}
	var drawn []string
	for _, m := range regexp.MustCompile(`(?m)^\s*(\w+)(?:\[[^\]]*\])? --> (\w+)`).FindAllStringSubmatch(picture, -1) {
		drawn = append(drawn, names[m[1]]+" → "+names[m[2]])
	}

	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var imported []string
	own := module(t) + "/"
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := strings.TrimPrefix(words[0], own)
		for _, w := range words[1:] {
			to, ok := strings.CutPrefix(w, own)
			if ok && !leftOut.MatchString(from) && !leftOut.MatchString(to) {
				imported = append(imported, from+" → "+to)
			}
		}
	}
	slices.Sort(drawn)
	slices.Sort(imported)
	for _, edge := range imported {
		if !slices.Contains(drawn, edge) {
			t.Errorf("docs/architecture.md doesn't show %s", edge)
		}
	}
	for _, edge := range drawn {
		if !slices.Contains(imported, edge) {
			t.Errorf("docs/architecture.md shows %s, which isn't so", edge)
		}
	}
	if len(drawn) == 0 {
		t.Error("docs/architecture.md has no picture")
	}
}

// TestNamedFunctions looks up every function that docs/architecture.md names.
func TestNamedFunctions(t *testing.T) {
	found := 0
	folders := map[string][]*ast.File{}
	for _, m := range regexp.MustCompile("`(?:(\\w+)\\.\\(\\*(\\w+)\\)(?:\\.(\\w+))?|\\(\\*(\\w+)\\.(\\w+)\\)\\.(\\w+)|(httpmsg|forward)\\.([A-Z]\\w+))`").FindAllStringSubmatch(architecture(t), -1) {
		pkg, typ, function := m[1]+m[4]+m[7], m[2]+m[5], m[3]+m[6]+m[8]
		if !declared(t, folders, pkg, typ, function) {
			t.Errorf("docs/architecture.md names %s, which doesn't exist", m[0])
		}
		found++
	}
	if found < 20 {
		t.Errorf("only %d functions were found in docs/architecture.md", found)
	}
}

// declared reports whether a package has a function or, with a type, a method.
// Without a function it asks for the type. Folders that were read are kept.
func declared(t *testing.T, folders map[string][]*ast.File, pkg, typ, function string) bool {
	t.Helper()
	for _, dir := range []string{"proxy/" + pkg, pkg, "php/" + pkg} {
		if _, read := folders[dir]; !read {
			folders[dir] = parseFolder(t, dir)
		}
		for _, file := range folders[dir] {
			for _, d := range file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.Name == function && receiver(d) == typ {
						return true
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						if s, ok := s.(*ast.TypeSpec); ok && (s.Name.Name == typ && function == "" || s.Name.Name == function && typ == "") {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

// parseFolder reads the Go files of a folder. There may be none.
func parseFolder(t *testing.T, dir string) (all []*ast.File) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, file)
	}
	return all
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	x := d.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	name, _ := x.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}

// TestAddedBackend builds mkd with the kind of backend that docs/architecture.md
// adds, and sends it a request.
func TestAddedBackend(t *testing.T) {
	page := strings.ReplaceAll(architecture(t), `"mkd/`, `"`+module(t)+"/")
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	code := func(after string) string {
		_, rest, ok := strings.Cut(page, after)
		_, rest, has := strings.Cut(rest, "```go\n")
		text, _, _ := strings.Cut(rest, "```")
		if !ok || !has {
			t.Fatalf("docs/architecture.md has no code after %q", after)
		}
		return text
	}
	overlay := map[string]string{}
	replace := func(file, text string) {
		at := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(root, file)] = at
	}
	insert := func(file, before, text string) {
		old, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(old), before) != 1 {
			t.Fatalf("%s: %q isn't there once", file, before)
		}
		replace(file, strings.Replace(string(old), before, text+before, 1))
	}
	replace("config/echo.go", code("`config/echo.go`:"))
	replace("proxy/backend/echo.go", code("`proxy/backend/echo.go`:"))
	insert("config/config.go", "\t// Files of a folder.\n", code("In `config/config.go`, the section"))
	insert("proxy/backend/backend.go", "\t\"files\":   {build:", code("In `proxy/backend/backend.go`, the row:"))
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "mkd")
	build := exec.Command("go", "build", "-race", "-pgo=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./cmd/mkd")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	cfg := filepath.Join(dir, "config.yaml")
	text := "listeners: {web: {http: {address: \"127.0.0.1:0\"}}}\nbackends: {parrot: {echo: {}}}\nroutes: [{backend: parrot}]\n"
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, bin, "run", "--config", cfg)
	stderr, err := run.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	defer func() {
		run.Process.Signal(os.Interrupt)
		io.Copy(io.Discard, log)
		run.Wait()
	}()
	var addr string
	for addr == "" {
		line, err := log.ReadString('\n')
		if err != nil {
			t.Fatalf("no listener: %v", err)
		}
		if m := regexp.MustCompile(`"msg":"listening".*"address":"([^"]+)"`).FindStringSubmatch(line); m != nil {
			addr = m[1]
		}
	}
	resp, err := http.Get("http://" + addr + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := "you said GET /hello\n"; string(body) != want || err != nil {
		t.Errorf("%q, %v, want %q", body, err, want)
	}
}
