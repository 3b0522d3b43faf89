package site

import (
	"net/http/httptest"
	"os"
	"runtime/debug"
	"testing"
)

// TestFilesAreClosed counts the descriptors after requests that end in all ways in which a file
// is opened and another one served, or none.
func TestFilesAreClosed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // or the garbage collector closes them
	root := t.TempDir()
	plant(t, root, "a.txt", "a.txt.gz", "a.txt.br", "large.bin", "docs/index.html", "listed/a.txt", "folder.txt.gz/", "x.php", "link.txt -> x.php", "old.txt")
	plant(t, root, "old.txt.gz")
	if err := os.Chtimes(root+"/old.txt.gz", old.Add(-1), old.Add(-1)); err != nil {
		t.Fatal(err)
	}
	f := &Files{Root: root, Browse: true, Precompressed: []string{"br", "gzip"}}
	ask := func() {
		for _, target := range []string{"/a.txt", "/old.txt", "/docs", "/docs/", "/listed", "/listed/", "/x.php", "/link.txt", "/none", "/large.bin"} {
			for _, field := range []string{"X: y", "Accept-Encoding: gzip, br", "Range: bytes=1-2", "Range: bytes=100-", "If-None-Match: *", "If-Match: \"x\""} {
				get(t, f, "GET", target, field)
			}
		}
		for _, name := range []string{"/a.txt", "/docs", "/x.php", "/link.txt"} {
			f.ServeName(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), name)
		}
		f.ServeFolder(httptest.NewRecorder(), httptest.NewRequest("GET", "/listed/", nil), "/listed/", nil, nil)
	}
	ask()
	before := openFiles(t)
	for range 3 {
		ask()
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors are open, and %d before", n, before)
	}
	f.Close()
	if n := openFiles(t); n != before-1 {
		t.Errorf("%d descriptors are open after Close, and %d before", n, before)
	}
	ask()
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors are open when the root was opened again, and %d before", n, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

// TestMovedAgainAndAgain: a file that is moved whenever it is looked up ends the request.
func TestMovedAgainAndAgain(t *testing.T) {
	var tree tree
	defer tree.close()
	times := 0
	if err := tree.with(t.TempDir(), func(*release) error { times++; return errMoved }); err != errMoved || times < 2 || times > 100 {
		t.Errorf("%v after %d times", err, times)
	}
}
