package site

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// grove makes a site for the fuzzers, with traps around it and in it.
func grove(f *testing.F) *Scripts {
	f.Helper()
	dir, err := filepath.EvalSymlinks(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	plant(f, dir, "outside.php", "outside.txt",
		"root/index.php", "root/a.txt", "root/a/b/c.php", "root/a/b/index.html", "root/x.php/y.php", "root/x.php/z.txt", "root/.git/h.php", "root/.env",
		"root/.well-known/w.txt", "root/B.PHP", "root/c.php~", "root/c.php ", "root/d.php.", "root/e.phtml", "root/f.inc", "root/n\n.php",
		"root/out -> ..", "root/o.php -> ../outside.php", "root/o.txt -> ../outside.txt", "root/s.txt -> index.php", "root/l.php -> index.php", "root/m.php -> a.txt",
		"root/ab -> a/b")
	return &Scripts{Files: &Files{Root: dir + "/root"}}
}

var seeds = []string{
	"/", "/index.php", "/index.php/x", "/a", "/a/b/", "/a/b/c.php/d.php", "/x.php/y.php/z", "/x.php/z.txt", "/x.php", "/.git/h.php", "/.env",
	"/.well-known/w.txt", "/B.PHP", "/c.php~", "/c.php ", "/d.php.", "/e.phtml", "/f.inc", "/n\n.php", "/out/outside.php", "/o.php", "/o.txt", "/s.txt",
	"/l.php/x", "/m.php", "/ab/c.php", "/../outside.php", "/a/../../outside.php", "//index.php", "/index.php\x00.txt", `/a\b`, "/a%2fb", "/a.txt/x.php", "/none.php", "",
}

// FuzzFind looks for scripts that shouldn't run, and for paths that Find changes.
func FuzzFind(f *testing.F) {
	s := grove(f)
	for _, seed := range seeds {
		f.Add(seed, "")
		f.Add(seed, "/a%2Fb")
	}
	front := &Scripts{Files: s.Files, Try: []string{"{path}", "{path}/", "/index.php"}}
	f.Fuzz(func(t *testing.T, p, raw string) {
		u := &url.URL{Path: p, RawPath: raw}
		found, err := s.Find(u)
		other, otherErr := front.Find(u)
		if err == nil && (otherErr != nil || found != other) || err != nil && otherErr == nil && other.Name != "/index.php" {
			t.Fatalf("%q: %+v, %v; with a front controller %+v, %v", p, found, err, other, otherErr)
		}
		if err != nil {
			if found != (Found{}) || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) {
				t.Fatalf("%q: %+v, %v", p, found, err)
			}
			return
		}
		if strings.Contains(p, "//") || strings.Contains(p+"/", "/../") || strings.ContainsAny(p, "\x00\\") || strings.Contains(strings.ToLower(raw), "%2f") {
			t.Fatalf("%q, %q: %+v", p, raw, found)
		}
		switch {
		case found.Redirect != "":
			if found.Redirect != p+"/" {
				t.Fatalf("%q: %+v", p, found)
			}
		case found.File != "":
			if found.File != p && !strings.HasSuffix(p, "/") {
				t.Fatalf("%q: %+v", p, found)
			}
		default:
			index := strings.HasSuffix(p, "/") && found.Name == p+"index.php" && found.PathInfo == ""
			if found.Name+found.PathInfo != p && !index || found.PathInfo != "" && found.PathInfo[0] != '/' {
				t.Fatalf("%q: %+v", p, found)
			}
			root := s.Files.Root
			info, err := os.Lstat(found.Filename)
			if err != nil || !info.Mode().IsRegular() || !strings.HasPrefix(found.Filename, root+"/") || path.Clean(found.Filename) != found.Filename ||
				!strings.HasSuffix(found.Filename, ".php") || !strings.HasSuffix(found.Name, ".php") || strings.Contains(found.Filename, "/.git") || found.DocumentRoot != root {
				t.Fatalf("%q: %+v, %v", p, found, err)
			}
		}
	})
}

// FuzzFindEncoded looks for files and scripts that a path with an encoded slash
// shouldn't lead to.
func FuzzFindEncoded(f *testing.F) {
	for _, seed := range []string{"/a%2Fb", "/index.php/a%2Fb/c", "/x.php/y.php/z%5C/..", "/a%2f..%2Findex.php", "/.git/h.php/%2F", "/o.php/%2F", "/%2Findex.php", "/index.php%2Fx", "/index.php/%00%2F", "/l.php/%2e%2e%2Fx", "%2F", "/index.php/x"} {
		f.Add(seed)
	}
	s := grove(f)
	s.Try = []string{"{path}", "{path}/", "{path}.html", "/index.php"}
	f.Fuzz(func(t *testing.T, raw string) {
		decoded, err := url.PathUnescape(raw)
		if err != nil {
			return
		}
		u := &url.URL{Path: decoded, RawPath: raw}
		found, err := s.FindEncoded(u)
		if encodedAt(u.EscapedPath()) < 0 {
			if other, otherErr := s.Find(u); other != found || (err == nil) != (otherErr == nil) {
				t.Fatalf("%q: %+v, %v; Find: %+v, %v", raw, found, err, other, otherErr)
			}
			return
		}
		if err != nil {
			if found != (Found{}) || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) {
				t.Fatalf("%q: %+v, %v", raw, found, err)
			}
			return
		}
		front := found.Name == "/index.php" && found.PathInfo == ""
		if found.File != "" || found.Redirect != "" || found.Name+found.PathInfo != decoded && !front || !strings.HasSuffix(found.Name, ".php") ||
			strings.IndexByte(found.PathInfo, 0) >= 0 || strings.Contains(found.PathInfo+"/", "/../") {
			t.Fatalf("%q: %+v", raw, found)
		}
		if real, err := filepath.EvalSymlinks(s.Files.Root + found.Name); err != nil || real != found.Filename {
			t.Fatalf("%q: %+v: the script is %s, %v", raw, found, real, err)
		}
	})
}

// FuzzServe looks for paths that reveal the source of a script or a file outside the
// root, and for responses that the request didn't ask for.
func FuzzServe(f *testing.F) {
	files := grove(f).Files
	for _, seed := range seeds {
		f.Add("GET", seed, "", "")
		f.Add("GET", seed, "", "bytes=0-2,4-")
		f.Add("HEAD", seed, "/a%5cb", "bytes=-1")
	}
	f.Add("POST", "/a.txt", "", "bytes=0-")
	f.Fuzz(func(t *testing.T, method, p, raw, ranges string) {
		serve := map[string]func(http.ResponseWriter, *http.Request) error{
			"Serve":     func(w http.ResponseWriter, r *http.Request) error { return files.Serve(w, r, nil, nil) },
			"ServeFile": func(w http.ResponseWriter, r *http.Request) error { return files.ServeFile(w, r, p) },
			"ServeName": func(w http.ResponseWriter, r *http.Request) error { return files.ServeName(w, r, p) },
		}
		for name, serve := range serve {
			r := &http.Request{Method: method, URL: &url.URL{Path: p, RawPath: raw}, Header: http.Header{}}
			if ranges != "" {
				r.Header.Set("Range", ranges)
			}
			w := httptest.NewRecorder()
			w.Code = 0
			err := serve(w, r)
			text := w.Body.String()
			if strings.Contains(text, "secret") || strings.Contains(text, "outside") {
				t.Fatalf("%s %q: %q", name, p, text)
			}
			if err != nil {
				if text != "" || w.Flushed || statusOf(err) == 500 || errors.Is(err, fs.ErrPermission) || w.Header().Get("Etag") != "" {
					t.Fatalf("%s %q: %v, %q, %v", name, p, err, text, w.Header())
				}
				continue
			}
			switch w.Code {
			case 200, 206:
				if method == "HEAD" && text != "" || w.Header().Get("Content-Type") == "" {
					t.Fatalf("%s %s %q: %q, %v", method, name, p, text, w.Header())
				}
			case 301:
				if location := w.Header().Get("Location"); !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") || strings.ContainsAny(location, "\\\r\n") {
					t.Fatalf("%s %q: to %q", name, p, location)
				}
			default:
				t.Fatalf("%s %q: status %d", name, p, w.Code)
			}
		}
	})
}
