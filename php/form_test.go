package php

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// multipartCall makes a call of a form whose parts are given as they are.
func multipartCall(target, body string) *HTTPCall {
	return httpCall("POST", target, http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, body)
}

// filePart is a part with a file.
func filePart(field, name, content string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\nContent-Type: text/plain\r\n\r\n%s\r\n", field, name, content)
}

func fieldPart(field, value string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", field, value)
}

func hash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// uploadPool is a pool whose uploads are in a folder of their own.
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
	if n := p.uploads.used.Load(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
	p.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, uploadsPrefix+"*")); len(left) > 0 {
		t.Errorf("folders are left: %v", left)
	}
}

// TestUploadsOutliveNobody: a worker that dies leaves no file, and neither does
// a daemon that was killed, once the next one starts.
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
	p, _ := start(t, Options{Script: "testdata/http.php", MinWorkers: 1, MaxWorkers: 1, UploadDir: dir})
	eventually(t, "the folder that nobody uses is gone", func() bool {
		_, err := os.Stat(stale)
		return errors.Is(err, os.ErrNotExist)
	})
	if _, err := os.Stat(filepath.Join(inUse, "file")); err != nil {
		t.Error(err)
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

func TestFormsThatAreRefused(t *testing.T) {
	p, dir := uploadPool(t, Options{MaxUploads: 3, UploadTotal: 1000})
	cut := filePart("f", "a", "content")
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"no end", cut, 400},
		{"cut off in a header", "--b\r\nContent-Dis", 400},
		{"no boundary", "nothing of the kind", 400},
		{"a part without a name", "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", 400},
		{"a header without a colon", "--b\r\nnonsense\r\n\r\nx\r\n--b--", 400},
		{"a long header", "--b\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\nx\r\n--b--", 413},
		{"many files", strings.Repeat(cut, 4) + "--b--", 413},
		{"many parts", strings.Repeat(fieldPart("a", ""), maxParts+1) + "--b--", 413},
		{"a long field", fieldPart("a", strings.Repeat("x", maxFieldBytes)) + "--b--", 413},
		{"more than there is room for", filePart("f", "a", strings.Repeat("x", 999)) + filePart("f", "a", "xx") + "--b--", 507},
	} {
		_, err := doHTTP(p, multipartCall("/dump", c.body))
		var form *FormError
		if !errors.As(err, &form) || form.Status != c.status {
			t.Errorf("%s: %v, want %d", c.name, err, c.status)
		}
	}
	for _, typ := range []string{"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + strings.Repeat("x", 71)} {
		_, err := doHTTP(p, httpCall("POST", "/dump", http.Header{"Content-Type": {typ}}, "x"))
		if form := new(FormError); !errors.As(err, &form) || form.Status != 400 {
			t.Errorf("%s: %v", typ, err)
		}
	}
	gone := errors.New("the client is gone")
	c := multipartCall("/dump", "x")
	c.Request.Body = io.NopCloser(io.MultiReader(strings.NewReader(cut), errReader{gone}))
	if _, err := doHTTP(p, c); err != gone {
		t.Errorf("a body that breaks off: %v", err)
	}
	if left := filesBelow(t, dir); len(left) > 0 || p.uploads.used.Load() != 0 {
		t.Errorf("files are left: %v; %d bytes", left, p.uploads.used.Load())
	}
	if n := p.Status().Counts.Requests; n != 0 {
		t.Errorf("%d of the requests reached a worker", n)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestBodies: whatever its size, the script has the body as it was sent.
func TestBodies(t *testing.T) {
	opt := httpOptions(t)
	p, _ := start(t, opt)
	for _, size := range []int{1, smallBody, smallBody + 1, 256 << 10, 256<<10 + 1, 1 << 20, 20 << 20} {
		body := strings.Repeat("0123456\x00", size/8+1)[:size]
		want := hash(body) + " " + hash(body)
		for _, known := range []bool{true, false} {
			c := httpCall("PUT", "/hash", nil, body)
			if !known {
				c.Request.ContentLength = -1
			}
			if w := request(t, p, c); w.body.String() != want {
				t.Errorf("%d bytes: %s, want %s", size, &w.body, want)
			}
		}
	}
	// A body larger than PHP's memory is no matter for one who reads it bit by bit.
	h := md5.New()
	r := &endless{left: 100 << 20}
	c := httpCall("PUT", "/hashstream", nil, "")
	c.Request.Body, c.Request.ContentLength = io.NopCloser(io.TeeReader(r, h)), 100<<20
	if w := request(t, p, c); w.body.String() != hex.EncodeToString(h.Sum(nil)) {
		t.Errorf("100 MiB: %s", &w.body)
	}
	if left, _ := filepath.Glob(filepath.Join(opt.Env["TMPDIR"], "*")); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// endless is a reader of so many bytes.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = byte(i)
	}
	e.left -= n
	return n, nil
}

func TestParseDisposition(t *testing.T) {
	for s, want := range map[string]disposition{
		`form-data; name="a"`:                               {"a", "", true, false},
		`form-data; name=a; filename=b.txt`:                 {"a", "b.txt", true, true},
		`form-data; name="a;b=\"c\""; filename="x\\y\"z"`:   {`a;b="c"`, `x\y"z`, true, true},
		`form-data; name='single'; FileName="C:\dir\f.txt"`: {"single", `C:\dir\f.txt`, true, true},
		`form-data; filename=""`:                            {"", "", false, true},
		`form-data; name="a`:                                {"a", "", true, false},
		`form-data; name="a"; filename*=UTF-8''x`:           {"a", "", true, false},
		`form-data; name= two words `:                       {"two", "", true, false},
		"form-data; name=\"nul\x00rest\"":                   {"nul", "", true, false},
		`;;; name=a;; filename=b;`:                          {"a", "b", true, true},
		``:                                                  {},
		`name`:                                              {},
		`="x"`:                                              {},
	} {
		if got := parseDisposition(s); got != want {
			t.Errorf("%s: %+v, want %+v", s, got, want)
		}
	}
}

func TestNests(t *testing.T) {
	for field, want := range map[string]bool{"": true, "a": true, "a[]": true, "a[b][c]": true, "[a]": true,
		"a[": false, "a]": false, "a[b]c": false, "a[b]]": false, "a[[b]]": false, "a][": false} {
		if got := nests(field); got != want {
			t.Errorf("%s: %t", field, got)
		}
	}
}

// FuzzForm has forms read that a client may send.
func FuzzForm(f *testing.F) {
	f.Add([]byte(filePart("f[]", "a.txt", "one") + fieldPart("a[b]", "c") + "--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; filename=\"\\\"\r\n\r\n\r\n--b--"))
	f.Add([]byte("--b\r\nContent-Disposition: ;=;name=;name='\r\n\r\n\r\n--b--"))
	f.Add([]byte(fieldPart("MAX_FILE_SIZE", "2") + filePart("f", "a", "abc") + filePart("f", "", "") + "--b--"))
	opt := Options{MaxUploads: 3, MaxUploadSize: 1000, UploadDir: f.TempDir(), UploadTotal: 1 << 20}
	u := newUploads(&opt)
	f.Cleanup(u.close)
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := readForm(bytes.NewReader(body), "b", u, &opt)
		if err != nil {
			if !errors.As(err, new(*FormError)) {
				t.Errorf("%v", err)
			}
		} else {
			if len(form.files) > 2*opt.MaxUploads+maxParts || form.fields.size > maxFieldBytes {
				t.Errorf("%d files, %d bytes of fields", len(form.files), form.fields.size)
			}
			for _, up := range form.files {
				if strings.ContainsRune(up.field+up.name+up.typ, 0) {
					t.Errorf("%+v", up)
				}
			}
			form.close()
		}
		if n := u.used.Load(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	})
}

// FuzzParseFields: what a worker writes as a header can't become two.
func FuzzParseFields(f *testing.F) {
	f.Add("Content-Type\x00text/plain\x00Set-Cookie\x00a=b\x00set-cookie\x00c=d\x00")
	f.Add("X\x00a\r\nY: b\x00")
	f.Add("X\x00\x00")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseFields(text)
		if err != nil {
			return
		}
		var b bytes.Buffer
		h.Write(&b)
		n := 0
		for _, values := range h {
			n += len(values)
		}
		if got := strings.Count(b.String(), "\n"); got != n {
			t.Errorf("%d values are %d lines", n, got)
		}
	})
}
