package main

import (
	"context"
	"crypto"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mkd/megaki"
)

// runIn runs a command in a folder, with the modules that are on this machine.
func runIn(t *testing.T, dir, name string, args ...string) (output string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestLibraryFromOutside: the programs of docs/library.md, in a module of their
// own with the `replace` of that page, are built, and send a message and a
// request.
func TestLibraryFromOutside(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/library.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?s)```go\n(// Command myapp .*?)```").FindSubmatch(page)
	get := regexp.MustCompile("(?s)```go\n(// Command myget .*?)```").FindSubmatch(page)
	edit := regexp.MustCompile(`(?m)^\$ go (mod edit .*)\.\./mkd$`).FindSubmatch(page)
	if program == nil || get == nil || edit == nil {
		t.Fatal("docs/library.md lacks a program, or the replace")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), program[1], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "get"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "get", "main.go"), get[1], 0o644); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, "go", "mod", "init", "myapp")
	args := strings.Fields(string(edit[1]))
	args[len(args)-1] += root
	runIn(t, dir, "go", args...)
	runIn(t, dir, "go", "build", "-o", "myapp", ".")
	runIn(t, dir, "go", "build", "-o", "myget", "./get")

	key, err := megaki.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := megaki.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.key.pub"), public, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &megaki.Server{Keys: []crypto.Decrypter{key}, Handler: megaki.HandlerFunc(func(w *megaki.ResponseWriter, r *megaki.Request) error {
		response := "You said '" + string(r.Body) + "'"
		if strings.HasPrefix(string(r.Body), "GET /page HTTP/1.1\r\nHost: example.org\r\n") {
			response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npage\n"
		}
		_, err := w.WriteString(response)
		return err
	})}
	go s.Serve(l)
	defer s.Close()
	if got := runIn(t, dir, "./myapp", l.Addr().String(), "server.key.pub", "hello"); got != "You said 'hello'\n" {
		t.Errorf("it printed %q", got)
	}
	if got := runIn(t, dir, "./myget", l.Addr().String(), "server.key.pub", "https://example.org/page"); got != "200 OK\npage\n" {
		t.Errorf("it printed %q", got)
	}
}

// TestMakeModule: on a copy, `make module` renames the module and all imports,
// and a second time as well.
func TestMakeModule(t *testing.T) {
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "go.mod", "go.sum", "Makefile", "*.go", "docs")
	list.Dir = "../.."
	files, err := list.Output()
	if err != nil {
		t.Fatal("not a checkout of git: ", err)
	}
	for name := range strings.Lines(string(files)) {
		name = strings.TrimSpace(name)
		data, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, module := range []string{"example.org/mkd", "example.com/other/name"} {
		runIn(t, dir, "make", "--no-print-directory", "module", "MODULE="+module)
		if got := runIn(t, dir, "go", "list", "-m"); got != module+"\n" {
			t.Errorf("the module is %q", got)
		}
		imports := runIn(t, dir, "go", "list", "-e", "-f", `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, "./...")
		renamed := 0
		for path := range strings.FieldsSeq(imports) {
			if strings.HasPrefix(path, "mkd/") {
				t.Errorf("%s is imported still", path)
			}
			if strings.HasPrefix(path, module+"/") {
				renamed++
			}
		}
		if renamed < 20 {
			t.Errorf("%d imports of %s", renamed, module)
		}
		if unformatted := runIn(t, dir, "gofmt", "-l", "."); unformatted != "" {
			t.Errorf("not formatted: %s", unformatted)
		}
	}
	runIn(t, dir, "go", "build", "./cmd/sazukari")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, module := range []string{"", "mkd dash", "/mkd", `x"y`} {
		cmd := exec.CommandContext(ctx, "make", "module", "MODULE="+module)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "MODULE=example.org/mkd") {
			t.Errorf("MODULE=%s: %v, %s", module, err, out)
		}
	}
}
