package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// watched watches paths below a folder, and returns what is reported.
func watched(t *testing.T, dir string, paths ...string) <-chan string {
	t.Helper()
	for i := range paths {
		paths[i] = filepath.Join(dir, paths[i])
	}
	changes := make(chan string, 100)
	w, err := New(paths, func(path string) { changes <- path })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return changes
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// await waits for a report about a path, or one above it.
func await(t *testing.T, changes <-chan string, path string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case got := <-changes:
			if strings.HasPrefix(path, got) {
				return
			}
		case <-deadline:
			t.Fatalf("no report about %s", path)
		}
	}
}

func TestChanges(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"src/a.php", "src/deep/er/b.php", "src/.git/index", "other/c.php", "app.php", "beside.php"} {
		write(t, path(name), "1")
	}
	changes := watched(t, dir, "src", "app.php")
	for _, change := range []func() string{
		func() string { write(t, path("src/a.php"), "2"); return "src/a.php" },
		func() string { write(t, path("src/deep/er/b.php"), "2"); return "src/deep/er/b.php" },
		func() string { write(t, path("src/new/n.php"), "1"); return "src/new" },
		func() string { write(t, path("src/new/n.php"), "2"); return "src/new/n.php" },
		func() string { os.Remove(path("src/a.php")); return "src/a.php" },
		func() string { write(t, path("app.php"), "2"); return "app.php" },
		func() string { // as an editor replaces a file
			write(t, path("app.php.new"), "3")
			os.Rename(path("app.php.new"), path("app.php"))
			return "app.php"
		},
	} {
		await(t, changes, path(change()))
	}
	for _, name := range []string{"src/.git/index", "other/c.php", "beside.php", "src/.a.php.swp", "src/a.php~", "src/4913"} {
		write(t, path(name), "2")
	}
	write(t, path("src/last.php"), "1")
	for deadline := time.After(20 * time.Second); ; {
		select {
		case got := <-changes:
			if got == path("src/last.php") {
				return
			}
			if !strings.HasPrefix(got, path("src/")) && got != path("app.php") || strings.Contains(got, ".git") || strings.HasSuffix(got, "~") {
				t.Errorf("reported %s", got)
			}
		case <-deadline:
			t.Fatal("no report about the last file")
		}
	}
}

// TestBurst: many changes make few reports.
func TestBurst(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	changes := watched(t, dir, ".")
	began := time.Now()
	for i := range 500 {
		write(t, filepath.Join(dir, fmt.Sprint(i, ".php")), "x")
	}
	write(t, filepath.Join(dir, "sub", "end.php"), "x")
	took := time.Since(began)
	await(t, changes, filepath.Join(dir, "0.php"))
	if n, most := len(changes), int(took/quiet)+2; n > most {
		t.Errorf("%d more reports in %v, want %d at most", n, took, most)
	}
}

func TestMissing(t *testing.T) {
	if w, err := New([]string{filepath.Join(t.TempDir(), "none")}, func(string) {}); err == nil {
		w.Close()
		t.Error("no error for a folder that doesn't exist")
	}
}
