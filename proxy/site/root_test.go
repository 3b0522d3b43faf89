package site

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// swap makes the symlink current lead to a release, as deployments do.
func swap(t testing.TB, dir, release string) {
	t.Helper()
	next := filepath.Join(dir, "next")
	if err := os.Symlink(release, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
}

// write makes a release whose files contain its name.
func write(t testing.TB, dir, release string) {
	t.Helper()
	plant(t, dir, release+"/public/index.php", release+"/public/name.txt")
}

// ask returns what a site serves as /name.txt and the script that it finds, without
// the folder of all releases.
func ask(t testing.TB, s *Scripts, dir string) (text, script string) {
	t.Helper()
	w := httptest.NewRecorder()
	if err := s.Files.Serve(w, httptest.NewRequest("GET", "/name.txt", nil), nil, nil); err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(&url.URL{Path: "/index.php"})
	if err != nil {
		t.Fatal(err)
	}
	if found.DocumentRoot != filepath.Dir(found.Filename) {
		t.Fatalf("root %s of %s", found.DocumentRoot, found.Filename)
	}
	return w.Body.String(), strings.TrimPrefix(found.Filename, dir+"/")
}

func releases(t testing.TB) (dir string, s *Scripts) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s = &Scripts{Files: &Files{Root: dir + "/current/public"}}
	t.Cleanup(s.Files.Close)
	return dir, s
}

func TestMovedRootIsFollowed(t *testing.T) {
	dir, s := releases(t)
	write(t, dir, "1")
	write(t, dir, "2")
	for range 3 {
		for _, release := range []string{"1", "2"} {
			swap(t, dir, release)
			if text, script := ask(t, s, dir); text != release+"/public/name.txt" || script != release+"/public/index.php" {
				t.Fatalf("in release %s: %s, %s", release, text, script)
			}
		}
	}
	if err := os.RemoveAll(dir + "/1"); err != nil {
		t.Fatal(err)
	}
	ask(t, s, dir)
}

// TestRenamedRelease renames the folder of a release: scripts are found with the new
// path.
func TestRenamedRelease(t *testing.T) {
	dir, s := releases(t)
	write(t, dir, "tmp")
	swap(t, dir, "tmp")
	ask(t, s, dir)
	if err := os.Rename(dir+"/tmp", dir+"/final"); err != nil {
		t.Fatal(err)
	}
	swap(t, dir, "final")
	if _, script := ask(t, s, dir); script != "final/public/index.php" {
		t.Error(script)
	}
	if _, err := os.Stat(dir + "/tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// The old path leads to a script again, but to another one.
	if err := os.Rename(dir+"/final", dir+"/other"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "final")
	swap(t, dir, "other")
	if _, script := ask(t, s, dir); script != "other/public/index.php" {
		t.Error(script)
	}
}

func TestMissingRoot(t *testing.T) {
	dir, s := releases(t)
	for range 2 {
		err := s.Files.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/name.txt", nil), nil, nil)
		if !errors.Is(err, ErrRoot) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if _, err := s.Find(&url.URL{Path: "/"}); !errors.Is(err, ErrRoot) {
			t.Error(err)
		}
		write(t, dir, "1")
		swap(t, dir, "1")
		ask(t, s, dir)
		if err := os.Remove(dir + "/current"); err != nil {
			t.Fatal(err)
		}
	}
	plant(t, dir, "file")
	f := &Files{Root: dir + "/file"}
	if err := f.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), nil, nil); !errors.Is(err, ErrRoot) {
		t.Error(err)
	}
}

// TestSwapsUnderLoad swaps releases, and replaces the file itself, while
// requests arrive: each gets one whole release, and none fails. At the end only the
// folder in use is open.
func TestSwapsUnderLoad(t *testing.T) {
	dir, s := releases(t)
	for i := range 4 {
		write(t, dir, fmt.Sprint(i))
	}
	swap(t, dir, "0")
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				w := httptest.NewRecorder()
				err := s.Files.Serve(w, httptest.NewRequest("GET", "/name.txt", nil), nil, nil)
				if text := w.Body.String(); err != nil || !strings.HasSuffix(text, "/public/name.txt") {
					t.Errorf("%q, %v", text, err)
					return
				}
				found, err := s.Find(&url.URL{Path: "/index.php"})
				if err != nil || found.DocumentRoot+"/index.php" != found.Filename {
					t.Errorf("%+v, %v", found, err)
					return
				}
			}
		})
	}
	for i := range 200 {
		release := fmt.Sprint(i % 4)
		file := dir + "/" + release + "/public/name.txt"
		if err := os.WriteFile(file+"~", []byte(release+"/public/name.txt"), 0o644); err != nil {
			t.Error(err)
		}
		if err := os.Rename(file+"~", file); err != nil {
			t.Error(err)
		}
		swap(t, dir, release)
	}
	close(done)
	wg.Wait()
	if r := s.Files.tree.now; r.uses != 1 {
		t.Errorf("the current folder has %d uses", r.uses)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for _, e := range entries {
		if path, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(path, dir+"/") {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d descriptors of the site are open, not 1", open)
	}
}

// TestCloseUnderRequests closes a site that is in use.
func TestCloseUnderRequests(t *testing.T) {
	dir, s := releases(t)
	write(t, dir, "1")
	swap(t, dir, "1")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				w := httptest.NewRecorder()
				if err := s.Files.Serve(w, httptest.NewRequest("GET", "/name.txt", nil), nil, nil); err != nil {
					t.Error(err)
				}
				s.Files.Close()
			}
		})
	}
	wg.Wait()
}

// TestLinkSwappedUnderLoad swaps a symlink between a text and a script: the
// source of the script is never served.
func TestLinkSwappedUnderLoad(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.txt", "x.php")
	f := &Files{Root: root}
	defer f.Close()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			w := httptest.NewRecorder()
			f.Serve(w, httptest.NewRequest("GET", "/link.txt", nil), nil, nil)
			if strings.Contains(w.Body.String(), source) {
				t.Error("source was served")
				return
			}
		}
	})
	for i := range 500 {
		next := filepath.Join(root, "next")
		if err := os.Symlink([]string{"x.php", "a.txt"}[i%2], next); err != nil {
			t.Error(err)
		}
		if err := os.Rename(next, filepath.Join(root, "link.txt")); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}
