package php

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestUploadsOfAnotherUser: files belong to the workers' user, who can move them.
func TestUploadsOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the user of workers")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"http.php", "globals.php"} {
		code, err := os.ReadFile("testdata/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), code, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p, _ := start(t, Options{Script: filepath.Join(dir, "http.php"), User: "www-data", MinWorkers: 1, MaxWorkers: 1,
		UploadDir: dir, Env: map[string]string{"TMPDIR": dir}})
	w := request(t, p, multipartCall("/uploads", filePart("f[]", "a", "content")+"--b--"))
	if f := strings.Fields(w.body.String()); len(f) != 3 || f[1] != hash("content") || f[2] != "1" {
		t.Errorf("%q", &w.body)
	}
	to := filepath.Join(dir, "moved")
	if w := request(t, p, multipartCall("/move?to="+to, filePart("f", "a", "content")+"--b--")); w.body.String() != "7" {
		t.Errorf("%q", &w.body)
	}
	if left := filesBelow(t, dir); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// TestMemoryStaysFlat: large bodies aren't kept in memory.
func TestMemoryStaysFlat(t *testing.T) {
	p, _ := uploadPool(t, Options{})
	const size = 32 << 20
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	for name, c := range map[string]*HTTPCall{
		"form": multipartCall("/uploads", "x"),
		"body": httpCall("PUT", "/hashstream", nil, "x"),
	} {
		body := io.Reader(&endless{left: size})
		if name == "form" {
			body = io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"f[]\"; filename=\"x\"\r\n\r\n"), body, strings.NewReader("\r\n--b--"))
		}
		c.Request.Body, c.Request.ContentLength = io.NopCloser(body), -1
		before := allocated()
		request(t, p, c)
		if n := allocated() - before; n > 8<<20 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

// TestFormOfUnknownLength: CONTENT_LENGTH is the number of bytes that came.
func TestFormOfUnknownLength(t *testing.T) {
	p, _ := uploadPool(t, Options{})
	body := filePart("f", "a", "content") + "--b--\r\nepilogue"
	c := multipartCall("/dump", body)
	c.Request.ContentLength = -1
	var d struct{ Server map[string]any }
	if err := json.Unmarshal(request(t, p, c).body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Server["CONTENT_LENGTH"], strconv.Itoa(len(body)); got != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// uploadPool starts a pool whose uploads are in a new folder.
func uploadPool(t *testing.T, opt Options) (p *Pool, dir string) {
	t.Helper()
	dir = t.TempDir()
	opt.Script, opt.MinWorkers, opt.MaxWorkers, opt.UploadDir = "testdata/http.php", 1, 1, dir
	p, _ = start(t, opt)
	return p, dir
}

// filesBelow lists the files in the folders of a folder.
func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestUploads(t *testing.T) {
	p, dir := uploadPool(t, Options{})
	big := strings.Repeat("0123456789abcdef", 1<<16)
	w := request(t, p, multipartCall("/uploads", filePart("f[]", "a.txt", "one")+filePart("f[]", "b.txt", big)+"--b--\r\n"))
	lines := strings.Split(w.body.String(), "\n")
	for i, content := range []string{"one", big} {
		f := strings.Fields(lines[i])
		if len(f) != 3 || filepath.Dir(filepath.Dir(f[0])) != dir || f[1] != hash(content) || f[2] != "1" {
			t.Errorf("file %d: %v", i, f)
		}
	}
	if left := filesBelow(t, dir); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	to := filepath.Join(dir, "moved")
	if w := request(t, p, multipartCall("/move?to="+to, filePart("f", "a.txt", big)+"--b--")); w.body.String() != fmt.Sprint(len(big)) {
		t.Errorf("moved: %s", &w.body)
	}
	if moved, err := os.ReadFile(to); err != nil || string(moved) != big {
		t.Errorf("%d bytes moved, %v", len(moved), err)
	}
	if n := p.uploads.bytes.InUse(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
	p.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, uploadsPrefix+"*")); len(left) > 0 {
		t.Errorf("folders are left: %v", left)
	}
}

// TestUploadsOutliveNobody: a worker that dies leaves no file. The files of a killed
// daemon are removed when the next one starts; those of other users aren't.
func TestUploadsOutliveNobody(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, uploadsPrefix+"1")
	inUse := filepath.Join(dir, uploadsPrefix+"2")
	for _, path := range []string{stale, inUse} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(path, "file"))
	}
	root, err := os.OpenRoot(inUse)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	lock, err := lockFolder(root)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	// A link to a folder that isn't the daemon's.
	other := filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(other, 0o700), os.Symlink("other", filepath.Join(dir, uploadsPrefix+"0"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(other, "file"))
	stay := []string{inUse, other}
	if os.Geteuid() == 0 { // which reaches the folders of all users; this one's name sorts before the unused one's
		others := filepath.Join(dir, uploadsPrefix+"00")
		if err := errors.Join(os.Mkdir(others, 0o700), os.Chown(others, 1, 1)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(others, "file"))
		stay = append(stay, others)
	}
	p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, UploadDir: dir})
	eventually(t, "the unused folder is removed", func() bool {
		_, err := os.Stat(stale)
		return errors.Is(err, os.ErrNotExist)
	})
	for _, path := range stay {
		if _, err := os.Stat(filepath.Join(path, "file")); err != nil {
			t.Error(err)
		}
	}
	note := filepath.Join(dir, "note")
	var broken *WorkerError
	if _, err := doHTTP(p, multipartCall("/uploadexit?note="+note, filePart("f", "a", "x")+"--b--")); !errors.As(err, &broken) {
		t.Errorf("a worker that dies: %v", err)
	}
	path, err := os.ReadFile(note)
	if err != nil || !strings.HasPrefix(string(path), dir) {
		t.Fatalf("the file was at %q, %v", path, err)
	}
	if _, err := os.Stat(string(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

// TestFolderOfAnotherDaemon: a folder that another daemon has locked isn't claimed.
func TestFolderOfAnotherDaemon(t *testing.T) {
	dir := t.TempDir()
	other, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := lockFolder(other)
	if err != nil {
		t.Fatal(err)
	}
	u := newUploads(&Options{}, nil)
	if _, _, err := u.claim(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a locked folder: %v", err)
	}
	lock.Close()
	root, lock, err := u.claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	root.Close()
	lock.Close()
}

// TestUploadsLeaveNoDescriptors: the folder for uploads, and those that killed daemons
// have left behind, take no descriptors once they are removed.
func TestUploadsLeaveNoDescriptors(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		if err := os.MkdirAll(filepath.Join(dir, uploadsPrefix+strconv.Itoa(i), "below"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before := count()
	u := newUploads(&Options{UploadDir: dir}, nil)
	u.sweep()
	file, _, err := u.create()
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	u.close()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors are left", after-before)
	}
}
