package site

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestServePaths(t *testing.T) {
	outside := t.TempDir()
	plant(t, outside, "secret.txt")
	root := t.TempDir()
	plant(t, root,
		"index.html", "a.txt", "docs/index.html", "docs/b.css", "empty/", "deep/1/2/3/4/5/6/7/8/9/x.txt",
		".env", ".git/config", ".well-known/security.txt", ".well-known/.hidden", "docs/.well-known/x.txt",
		"x.php", "x.PHP", "y.phtml", "z.PhAr", "old.php5", "x.php~", "x.php.bak", "x.php.txt", "x.phps", "x.php ", "x.php.", "x.phpx",
		"db.inc", "db.inc~", "menu.inc.js", "folder.php/index.html", "folder.php/a.txt", "index/index.html/",
		"node_modules/a.js", "backup.SQL", "a\nb.txt", "trailing.", "space ", "caf\u00e9.txt", "cafe\u0301.md", "per%cent.txt", "a%2fb", "q?.txt",
		"link.txt -> docs/b.css", "linked -> docs", "up.txt -> deep/../a.txt", "source.txt -> x.php", "chain.txt -> source.txt",
		"out.txt -> "+outside+"/secret.txt", "out -> ../", "absolute.txt -> "+root+"/a.txt", "loop.txt -> loop2.txt", "loop2.txt -> loop.txt",
		"dangling.txt -> gone.txt", "null -> /dev/null",
	)
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	f := &Files{Root: root, Hide: []string{"Node_Modules", "*.sql"}}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", 10_000)
	for _, c := range []struct {
		target string
		status int
		want   string // the body, or the Location
	}{
		{"/", 200, "index.html"},
		{"/index.html", 200, "index.html"},
		{"/a.txt", 200, "a.txt"},
		{"/a.txt?x=1", 200, "a.txt"},
		{"/A.TXT", 404, ""},
		{"/a.txt/", 404, ""},
		{"/a.txt/b", 404, ""},
		{"/docs", 301, "/docs/"},
		{"/docs?a=/&b=%0a", 301, "/docs/?a=/&b=%0a"},
		{"/docs/", 200, "docs/index.html"},
		{"/docs/b.css", 200, "docs/b.css"},
		{"/empty", 404, ""},
		{"/empty/", 404, ""},
		{"/index", 404, ""},
		{"/index/", 404, ""},
		{"/none", 404, ""},
		{"/deep/1/2/3/4/5/6/7/8/9/x.txt", 200, "deep/1/2/3/4/5/6/7/8/9/x.txt"},

		{"/.env", 404, ""},
		{"/.git/config", 404, ""},
		{"/.git", 404, ""},
		{"/.well-known/security.txt", 200, ".well-known/security.txt"},
		{"/.well-known/.hidden", 404, ""},
		{"/docs/.well-known/x.txt", 404, ""},
		{"/node_modules/a.js", 404, ""},
		{"/backup.SQL", 404, ""},

		{"/x.php", 404, ""}, {"/x.PHP", 404, ""}, {"/y.phtml", 404, ""}, {"/z.PhAr", 404, ""}, {"/old.php5", 404, ""},
		{"/x.php~", 404, ""}, {"/x.php.bak", 404, ""}, {"/x.php.txt", 404, ""}, {"/x.phps", 404, ""}, {"/x.php%20", 404, ""},
		{"/x.php.", 404, ""}, {"/x.phpx", 404, ""}, {"/x.php/", 404, ""}, {"/x.php/a", 404, ""}, {"/x.php%5c", 404, ""}, {"/x.php%00", 404, ""},
		{"/db.inc", 404, ""}, {"/db.inc~", 404, ""}, {"/menu.inc.js", 200, source},
		{"/folder.php", 301, "/folder.php/"}, {"/folder.php/", 200, "folder.php/index.html"}, {"/folder.php/a.txt", 200, "folder.php/a.txt"},

		{"/a%0Ab.txt", 200, "a\nb.txt"}, {"/trailing.", 200, "trailing."}, {"/trailing", 404, ""}, {"/space%20", 200, "space "}, {"/space", 404, ""},
		{"/caf%C3%A9.txt", 200, "caf\u00e9.txt"}, {"/cafe%CC%81.txt", 404, ""}, {"/cafe%CC%81.md", 200, "cafe\u0301.md"}, {"/caf%C3%A9.md", 404, ""},
		{"/per%25cent.txt", 200, "per%cent.txt"}, {"/q%3F.txt", 200, "q?.txt"}, {"/%ff", 404, ""},

		{"/a%2fb", 404, ""}, {"/a%252fb", 404, ""}, {"/docs%2Fb.css", 404, ""}, {"/docs%5Cb.css", 404, ""}, {"/a%00.txt", 404, ""},
		{"//a.txt", 404, ""}, {"/docs//b.css", 404, ""}, {"/docs//", 404, ""}, {"/./a.txt", 404, ""}, {"/docs/../a.txt", 404, ""},
		{"/..", 404, ""}, {"/%2e%2e/x", 404, ""}, {"/docs/.", 404, ""}, {"/.../a", 404, ""},
		{"/" + long, 404, ""}, {"/" + long[:256], 404, ""}, {"/" + strings.Repeat("a/", 4000), 404, ""}, {"/" + strings.Repeat("a/", 2000), 404, ""},

		{"/link.txt", 200, "docs/b.css"}, {"/linked", 301, "/linked/"}, {"/linked/b.css", 200, "docs/b.css"}, {"/up.txt", 200, "a.txt"},
		{"/source.txt", 404, ""}, {"/chain.txt", 404, ""}, {"/out.txt", 403, ""}, {"/out/x", 403, ""}, {"/absolute.txt", 403, ""},
		{"/loop.txt", 403, ""}, {"/dangling.txt", 404, ""}, {"/null", 403, ""}, {"/fifo", 404, ""}, {"/socket", 404, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp := get(t, f, method, c.target)
			if resp.StatusCode != c.status {
				t.Errorf("%s %.80q: status %d, not %d", method, c.target, resp.StatusCode, c.status)
			}
			got := body(t, resp)
			if c.status == 301 {
				got = resp.Header.Get("Location")
			} else if method == "HEAD" && c.status == 200 {
				if n := resp.ContentLength; n != int64(len(c.want)) || got != "" {
					t.Errorf("HEAD %.80q: length %d, body %q", c.target, n, got)
				}
				continue
			}
			if got != c.want {
				t.Errorf("%s %.80q: %q, not %q", method, c.target, got, c.want)
			}
		}
	}
}

// TestURLIsNotTrusted passes URLs that no router of ours makes.
func TestURLIsNotTrusted(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.txt", "docs/index.html")
	f := &Files{Root: root}
	for _, u := range []url.URL{
		{}, {Path: "a.txt"}, {Path: "*"}, {Opaque: "/a.txt"}, {Path: "/docs/../a.txt"}, {Path: `/docs\..\a.txt`},
		{Path: "/docs/index.html", RawPath: "/docs%2findex.html"}, {Path: "/docs%2Findex.html"}, {Path: "/a.txt\x00"}, {Path: "//a.txt"},
	} {
		w := httptest.NewRecorder()
		if err := f.Serve(w, &http.Request{Method: "GET", URL: &u}, nil, nil); !errors.Is(err, ErrNotFound) || w.Body.Len() > 0 {
			t.Errorf("%#v: %v, body %q", u, err, w.Body)
		}
		if _, err := (&Scripts{Files: f}).Find(&u); !errors.Is(err, ErrNotFound) {
			t.Errorf("%#v: %v from Find", u, err)
		}
	}
}

func TestMethod(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.txt")
	f := &Files{Root: root}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "get", "PROPFIND"} {
		for _, target := range []string{"/a.txt", "/none"} {
			resp := get(t, f, method, target)
			if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow: %q", method, target, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
		w := httptest.NewRecorder()
		if err := f.ServeFile(w, httptest.NewRequest(method, "/", nil), "/a.txt"); !errors.Is(err, ErrMethod) {
			t.Errorf("%s with ServeFile: %v", method, err)
		}
	}
}

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		method, path, query, location string
		status                        int
	}{
		{"GET", "/a", "", "/a/", 301},
		{"GET", "/a/", "", "/a/", 301},
		{"GET", "", "", "/", 301},
		{"HEAD", "/a/", "x=%2F&y", "/a/?x=%2F&y", 301},
		{"POST", "/a/", "", "/a/", 308},
		{"GET", "//evil.example/", "", "/evil.example/", 301},
		{"GET", `/\evil.example/`, "", "/evil.example/", 301},
		{"GET", "evil.example:80/", "", "/evil.example:80/", 301},
		{"GET", "/a b\r\nX: y?#%/", "", "/a%20b%0D%0AX:%20y%3F%23%25/", 301},
		{"GET", "/a/", "x\r\nSet-Cookie: \xff", "/a/?x%0D%0ASet-Cookie:%20%FF", 301},
		{"GET", "/\t/evil/", "", "/%09/evil/", 301},
	} {
		w := httptest.NewRecorder()
		Redirect(w, &http.Request{Method: c.method}, &url.URL{Path: c.path, RawQuery: c.query})
		if got := w.Header().Get("Location"); got != c.location || w.Code != c.status {
			t.Errorf("%+v: %d %q", c, w.Code, got)
		}
	}
}

// TestDenied checks files that the system denies, also if root runs the test.
func TestDenied(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.txt", "open.txt", "closed/a.txt", "closed/a.php", "list/a.txt")
	for name, mode := range map[string]os.FileMode{"a.txt": 0, "closed": 0, "list": 0o111} {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // the test's folder has to be removed
		os.Chmod(filepath.Join(root, "closed"), 0o755)
		os.Chmod(filepath.Join(root, "list"), 0o755)
	})
	asNobody(t, root)
	f := &Files{Root: root}
	for target, want := range map[string]int{"/a.txt": 403, "/closed/a.txt": 403, "/closed/": 403, "/closed": 403, "/list/a.txt": 403, "/open.txt": 200} {
		r := httptest.NewRequest("GET", target, nil)
		w := httptest.NewRecorder()
		err := f.Serve(w, r, nil, nil)
		if err != nil {
			w.Code = statusOf(err)
		}
		if w.Code != want || want == 403 && !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %d, %v", target, w.Code, err)
		}
	}
	s := &Scripts{Files: f, Try: []string{"{path}", "{path}/", "/index.php"}}
	for _, target := range []string{"/closed/a.php", "/closed/a.txt", "/closed/"} {
		if found, err := s.Find(&url.URL{Path: target}); !errors.Is(err, ErrForbidden) || !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %+v, %v", target, found, err)
		}
	}
}

func TestServeName(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.bin", "x.php", ".env", "docs/index.html")
	f := &Files{Root: root, CacheControl: "public"}
	set := http.Header{
		"Content-Type": {"application/x-app"}, "Content-Length": {"999"}, "Cache-Control": {"private"}, "Etag": {`"app"`},
		"Last-Modified": {"yesterday"}, "Accept-Ranges": {"none"}, "Content-Encoding": {"gzip"}, "Content-Md5": {"app"}, "Repr-Digest": {"app"}, "Content-Disposition": {"attachment"}, "Set-Cookie": {"a=1"},
	}
	for _, c := range []struct {
		method, name, field string
		status              int
		body                string
	}{
		{"GET", "/a.bin", "", 200, "a.bin"},
		{"HEAD", "/a.bin", "", 200, ""},
		{"GET", "/a.bin", "Range: bytes=2-", 206, "bin"},
		{"POST", "/a.bin", "Range: bytes=2-", 200, "a.bin"},
		{"POST", "/a.bin", "If-None-Match: *", 200, "a.bin"},
		{"DELETE", "/a.bin", "If-Match: \"x\"", 200, "a.bin"},
		{"GET", "/x.php", "", 404, ""},
		{"GET", "/.env", "", 404, ""},
		{"GET", "/docs", "", 404, ""},
		{"GET", "/docs/", "", 404, ""},
		{"GET", "/a.bin/", "", 404, ""},
		{"GET", "/../a.bin", "", 404, ""},
		{"GET", "a.bin", "", 404, ""},
		{"GET", "", "", 404, ""},
	} {
		r := httptest.NewRequest(c.method, "/download/7", nil)
		if name, value, ok := strings.Cut(c.field, ": "); ok {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		for name, values := range set {
			w.Header()[name] = values
		}
		if err := f.ServeName(w, r, c.name); err != nil {
			w.Code = statusOf(err)
		}
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%+v: %d %q", c, w.Code, w.Body)
		}
		h := w.Result().Header
		if c.status >= 300 {
			continue
		}
		if h.Get("Content-Type") != "application/x-app" || h.Get("Cache-Control") != "private" || h.Get("Set-Cookie") != "a=1" || h.Get("Content-Disposition") != "attachment" {
			t.Errorf("%+v: fields of the application are gone: %v", c, h)
		}
		if h.Get("Content-Length") == "999" || h.Get("Etag") == `"app"` || h.Get("Last-Modified") == "yesterday" || h.Get("Accept-Ranges") != "bytes" ||
			h["Content-Encoding"] != nil || h["Content-Md5"] != nil || h["Repr-Digest"] != nil {
			t.Errorf("%+v: fields about the content stayed: %v", c, h)
		}
	}
}

func TestCheckFiles(t *testing.T) {
	for want, f := range map[string]*Files{
		"no root":         {},
		"no pattern":      {Root: "/", Hide: []string{"[a"}},
		"has a slash":     {Root: "/", Scripts: []string{"a/*.php"}},
		"the name of a f": {Root: "/", Index: []string{"../x"}},
		`the index ""`:    {Root: "/", Index: []string{""}},
		`the index ".."`:  {Root: "/", Index: []string{".."}},
	} {
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// TestBrokenPatternHidesAll checks that an unchecked option fails safe.
func TestBrokenPatternHidesAll(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.txt")
	if err := (&Files{Root: root, Hide: []string{"[a"}}).Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/a.txt", nil), nil, nil); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// TestErrorTexts checks that errors quote a client's bytes, and not too many.
func TestErrorTexts(t *testing.T) {
	f := &Files{Root: t.TempDir()}
	for _, p := range []string{"/a\nlevel=error forged", "/" + strings.Repeat("x", 100_000), "/a\x00\n", "/b/\n/" + strings.Repeat("y/", 1000)} {
		err := f.Serve(httptest.NewRecorder(), &http.Request{Method: "GET", URL: &url.URL{Path: p}}, nil, nil)
		if text := err.Error(); strings.Contains(text, "\n") || len(text) > 2*maxQuoted {
			t.Errorf("%.600s", text)
		}
	}
}
