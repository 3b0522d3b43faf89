package site

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestKnown compares the responses for files that are too young to be remembered
// with those for the same files when they are remembered.
func TestKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, "a.css", "index.html", "sub/index.html", "noext", "page.txt", "empty.js", "x.php", "alias.txt -> page.txt", "outside.txt -> /etc/passwd")
	if err := errors.Join(os.Truncate(filepath.Join(dir, "empty.js"), 0), os.Chtimes(filepath.Join(dir, "empty.js"), old, old)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "noext"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	f := &Files{Root: dir, CacheControl: "max-age=60"}
	defer f.Close()
	type response struct {
		status int
		header http.Header
		body   string
	}
	ask := func() map[string]response {
		found := map[string]response{}
		for _, target := range []string{"/a.css", "/", "/sub/", "/sub", "/noext", "/page.txt", "/alias.txt", "/empty.js", "/x.php", "/outside.txt", "/none"} {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				for _, field := range []string{"X: y", "Range: bytes=2-4", `If-None-Match: "no"`, "If-Modified-Since: Mon, 02 Jan 2120 15:04:05 GMT"} {
					r := get(t, f, method, target, field)
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Fatal(err)
					}
					found[method+" "+target+" "+field] = response{r.StatusCode, r.Header, string(body)}
				}
			}
		}
		return found
	}
	unknown := ask()
	if n := len(f.known.files); n != 0 {
		t.Fatalf("%d files are remembered that have just changed", n)
	}
	time.Sleep(young + 100*time.Millisecond)
	for range 2 { // the second time, all are remembered before
		for request, r := range ask() {
			if !reflect.DeepEqual(r, unknown[request]) {
				t.Errorf("%s: the response is %+v,\nbefore it was remembered %+v", request, r, unknown[request])
			}
		}
	}
	var names []string
	for name := range f.known.files {
		names = append(names, name)
	}
	if all := strings.Join(names, " "); len(names) != 7 || strings.Contains(all, "php") || strings.Contains(all, "outside") {
		t.Errorf("remembered: %s", all)
	}
	for _, name := range names {
		open(t, f, name) // its content may be too old
		if o := open(t, f, name); (o.file == nil) != !strings.HasPrefix(name, "/alias") {
			t.Errorf("%s: the file is opened: %t; that of a symlink must be, others needn't", name, o.file != nil)
		}
	}

	// What was remembered is no longer right.
	for _, step := range []struct {
		name   string
		change func() error
		status int
		body   string
	}{
		{"the content", func() error { return os.WriteFile(filepath.Join(dir, "page.txt"), []byte("new and longer"), 0o644) }, 200, "new and longer"},
		{"the file is now a script, and a symlink leads to it", func() error {
			if err := os.Rename(filepath.Join(dir, "page.txt"), filepath.Join(dir, "page.php")); err != nil {
				return err
			}
			return os.Symlink("page.php", filepath.Join(dir, "page.txt"))
		}, 404, ""},
		{"another file by its name", func() error {
			if err := os.Remove(filepath.Join(dir, "page.txt")); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "page.txt"), []byte("another"), 0o644)
		}, 200, "another"},
		{"a folder by its name", func() error {
			if err := os.Remove(filepath.Join(dir, "page.txt")); err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(dir, "page.txt"), 0o755)
		}, 404, ""},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		r := get(t, f, "GET", "/page.txt")
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != step.status || string(body) != step.body {
			t.Errorf("%s: got %d %q, want %d %q", step.name, r.StatusCode, body, step.status, step.body)
		}
	}
}

// open opens a file as Serve does, and closes it.
func open(t *testing.T, f *Files, name string) (o opened) {
	t.Helper()
	err := f.tree.with(f.Root, func(r *release) (err error) {
		o, err = f.open(r, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	o.close()
	return o
}

func TestKnownIsBounded(t *testing.T) {
	var k knownFiles
	for _, size := range []int{0, maxContent} {
		content := make([]byte, size)
		for i := range 3 * maxKnown {
			for range 2 { // the same one again counts once
				k.put(fmt.Sprint("/", i), &known{content: content})
			}
			if len(k.files) > maxKnown || k.size > maxContents || size > 0 && k.size != len(k.files)*size {
				t.Fatalf("%d files are remembered, with %d bytes", len(k.files), k.size)
			}
		}
		k = knownFiles{}
	}
}

// TestContent remembers what small files have, from the second request on.
func TestContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, size := range map[string]int{"small": maxContent, "large": maxContent + 1} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", size)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"moved", "a", "b"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o755), os.WriteFile(filepath.Join(dir, name, "f"), []byte(name), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	f := &Files{Root: dir}
	defer f.Close()
	time.Sleep(young + 100*time.Millisecond)
	for i := range 4 {
		if o := open(t, f, "/small"); (o.file == nil) != (i > 1) {
			t.Errorf("small, request %d: the file is opened: %t", i, o.file != nil)
		}
		if o := open(t, f, "/large"); o.file == nil {
			t.Error("the content of a large file is remembered")
		}
	}

	// Another content of the same size and, as far as a program can set it, time.
	at := filepath.Join(dir, "small")
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(at, []byte(strings.Repeat("y", maxContent)), 0o644), os.Chtimes(at, time.Now(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	resp := get(t, f, "GET", "/small")
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != strings.Repeat("y", maxContent) {
		t.Errorf("the content is the old one: %.5s…, %v", body, err)
	}

	// A folder that was moved out of the root, and a symlink leads there.
	outside := t.TempDir()
	for range 3 {
		open(t, f, "/moved/f")
	}
	if o := open(t, f, "/moved/f"); o.file != nil {
		t.Error("the content of /moved/f isn't remembered")
	}
	if err := errors.Join(os.Rename(filepath.Join(dir, "moved"), filepath.Join(outside, "moved")), os.Symlink(filepath.Join(outside, "moved"), filepath.Join(dir, "moved"))); err != nil {
		t.Fatal(err)
	}
	if resp := get(t, f, "GET", "/moved/f"); resp.StatusCode == http.StatusOK {
		t.Error("a file that is now outside the root is served")
	}

	// A folder that is now a symlink leads to another file.
	for range 3 {
		open(t, f, "/a/f")
	}
	if err := errors.Join(os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "c")), os.Symlink("b", filepath.Join(dir, "a"))); err != nil {
		t.Fatal(err)
	}
	resp = get(t, f, "GET", "/a/f")
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "b" {
		t.Errorf("got %q, %v, want the other folder's file", body, err)
	}
}

// TestStraight remembers that no symlink leads to a script, as long as that is so.
func TestStraight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, "r1/index.php", "r1/app/x.php", "r1/link.php -> app/x.php", "now -> r1")
	s := &Scripts{Files: &Files{Root: filepath.Join(dir, "now")}}
	defer s.Files.Close()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := func(target, file string) {
		t.Helper()
		for range 2 {
			if found, err := s.Find(&url.URL{Path: target}); err != nil || found.Filename != filepath.Join(real, file) {
				t.Fatalf("%s: %+v, %v; want %s", target, found, err, file)
			}
		}
	}
	all := func() {
		t.Helper()
		want("/index.php", "r1/index.php")
		want("/app/x.php", "r1/app/x.php")
		want("/link.php", "r1/app/x.php")
	}
	all()
	time.Sleep(young + 100*time.Millisecond)
	all()
	if n := len(s.Files.tree.now.straight.files); n != 2 {
		t.Errorf("%d paths are remembered, want those of index.php and app/x.php", n)
	}
	// A release whose files are the same ones, as rsync --link-dest makes it.
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "r2/app"), 0o755))
	must(os.Link(filepath.Join(dir, "r1/index.php"), filepath.Join(dir, "r2/index.php")))
	must(os.Symlink("r2", filepath.Join(dir, "next")))
	must(os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "now")))
	want("/index.php", "r2/index.php")
}
