package site

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// show returns a Found as one line: a script, its name and its path info; or a file;
// or a redirect.
func show(found Found, root string) string {
	switch {
	case found.Filename != "":
		return strings.TrimPrefix(found.Filename, root) + " " + found.Name + " " + found.PathInfo
	case found.File != "":
		return "file " + found.File
	}
	return "redirect " + found.Redirect
}

func TestFind(t *testing.T) {
	outside := t.TempDir()
	plant(t, outside, "x.php", "dir/x.php")
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plant(t, root,
		"index.php", "a.txt", "up/a.jpg", "up/b.php.jpg", "admin/index.php", "docs/index.html", "empty/", "app.php/index.php", "app.php/inner.php",
		"app.php/style.css", "both/index.html", "both/index.php", "x.PHP", "y.php ", "z.php.", "w.phpx", "v.phtml", "s.php~", "page.html", "about.php",
		".hidden.php", ".git/x.php", ".well-known/x.php", "vendor/x.php", "a b.php", "n\nl.php", "caf\u00e9.php", "$uri.txt",
		"link.php -> about.php", "linked -> admin", "image.php -> up/a.jpg", "source.txt -> about.php", "out.php -> "+outside+"/x.php", "out -> "+outside+"/dir",
		"loop.php -> loop.php", "gone.php -> none.php", "index -> index.php", "idx/index.php/", "idx/index.html",
	)
	if err := syscall.Mkfifo(filepath.Join(root, "fifo.php"), 0o644); err != nil {
		t.Fatal(err)
	}
	const notFound, forbidden = "404", "403"
	type want map[string]string
	for name, c := range map[string]struct {
		scripts Scripts
		paths   want
	}{
		"default": {Scripts{}, want{
			"/":                      "/index.php /index.php ",
			"/index.php":             "/index.php /index.php ",
			"/index.php/":            "/index.php /index.php /",
			"/index.php/path/info":   "/index.php /index.php /path/info",
			"/index.php/a.php/b.php": "/index.php /index.php /a.php/b.php",
			"/index.php/.env":        "/index.php /index.php /.env",
			"/index.php/vendor/x":    "/index.php /index.php /vendor/x",
			"/index.php/a\nb":        "/index.php /index.php /a\nb",
			"/index.php/\n":          "/index.php /index.php /\n",
			"/index.php\n":           notFound,
			"/index.php\n/x":         notFound,
			"/index.php\x00":         notFound,
			"/index.php/\x00":        notFound,
			"/index.php/a%2fb":       notFound,
			`/index.php\`:            notFound,
			`/index.php/\`:           notFound,
			"/index.php//x":          notFound,
			"/index.php/../a.txt":    notFound,
			"/a.txt":                 "file /a.txt",
			"/a.txt/":                notFound,
			"/a.txt/x.php":           notFound,
			"/up/a.jpg":              "file /up/a.jpg",
			"/up/a.jpg/x.php":        notFound,
			"/up/a.jpg/.php":         notFound,
			"/up/a.jpg%00.php":       notFound,
			"/up/a.jpg.php":          notFound,
			"/up/b.php.jpg":          notFound,
			"/up/none.php/index.php": notFound,
			"/up":                    notFound,
			"/admin":                 "redirect /admin/",
			"/admin/":                "/admin/index.php /admin/index.php ",
			"/admin/index.php/x":     "/admin/index.php /admin/index.php /x",
			"/docs":                  "redirect /docs/",
			"/docs/":                 "file /docs/index.html",
			"/both/":                 "/both/index.php /both/index.php ",
			"/idx/":                  "file /idx/index.html",
			"/empty":                 notFound,
			"/empty/":                notFound,
			"/none":                  notFound,
			"/app.php":               "redirect /app.php/",
			"/app.php/":              "/app.php/index.php /app.php/index.php ",
			"/app.php/inner.php/x":   "/app.php/inner.php /app.php/inner.php /x",
			"/app.php/style.css":     "file /app.php/style.css",
			"/app.php/none.php":      notFound,
			"/about.PHP":             notFound,
			"/About.php":             notFound,
			"/x.PHP":                 notFound,
			"/x.php":                 notFound,
			"/y.php":                 notFound,
			"/y.php ":                notFound,
			"/about.php ":            notFound,
			"/z.php.":                notFound,
			"/about.php.":            notFound,
			"/w.phpx":                notFound,
			"/about.phpx":            notFound,
			"/v.phtml":               notFound,
			"/s.php~":                notFound,
			"/about.php~":            notFound,
			"/about.php::$DATA":      notFound,
			"/about.php;x":           notFound,
			"/.hidden.php":           notFound,
			"/.git/x.php":            notFound,
			"/.well-known/x.php":     "/.well-known/x.php /.well-known/x.php ",
			"/.php":                  notFound,
			"/a b.php/c":             "/a b.php /a b.php /c",
			"/n\nl.php":              "/n\nl.php /n\nl.php ",
			"/caf\u00e9.php":         "/caf\u00e9.php /caf\u00e9.php ",
			"/cafe\u0301.php":        notFound,
			"/link.php/x":            "/about.php /link.php /x",
			"/linked":                "redirect /linked/",
			"/linked/":               "/admin/index.php /linked/index.php ",
			"/linked/index.php/x":    "/admin/index.php /linked/index.php /x",
			"/image.php":             forbidden,
			"/source.txt":            "file /source.txt", // which Files refuses
			"/index":                 "file /index",      // likewise
			"/out.php":               forbidden,
			"/out/x.php":             forbidden,
			"/loop.php":              forbidden,
			"/gone.php":              notFound,
			"/fifo.php":              notFound,
			"/" + strings.Repeat("n", 10_000) + ".php":            notFound,
			"/" + strings.Repeat("n", 300) + ".php":               notFound,
			"/" + strings.Repeat("a.php/", 600):                   notFound,
			"/" + strings.Repeat("a/", 1000) + "index.php":        notFound,
			"/index.php/" + strings.Repeat("x", maxPath-11):       "/index.php /index.php /" + strings.Repeat("x", maxPath-11),
			"/index.php/" + strings.Repeat("x", maxPath-10):       notFound,
			"/index.php/" + strings.Repeat("x.php/", 650) + "end": "/index.php /index.php /" + strings.Repeat("x.php/", 650) + "end",
		}},
		"front controller": {Scripts{Try: []string{"{path}", "{path}/", "/index.php"}}, want{
			"/":                             "/index.php /index.php ",
			"/users/7":                      "/index.php /index.php ",
			"/users/7/":                     "/index.php /index.php ",
			"/a.txt":                        "file /a.txt",
			"/a.txt/x.php":                  "/index.php /index.php ",
			"/empty":                        "/index.php /index.php ",
			"/empty/":                       "/index.php /index.php ",
			"/.git/x.php":                   "/index.php /index.php ",
			"/.env":                         "/index.php /index.php ",
			"/x.PHP":                        "/index.php /index.php ",
			"/none.php/x":                   "/index.php /index.php ",
			"/admin":                        "redirect /admin/",
			"/docs/":                        "file /docs/index.html",
			"/index.php/x":                  "/index.php /index.php /x",
			"/about.php/x":                  "/about.php /about.php /x",
			"/a\nb":                         "/index.php /index.php ",
			"/a%2fb":                        notFound,
			"/../x":                         notFound,
			"/out/x":                        forbidden,
			"/" + strings.Repeat("n", 3000): "/index.php /index.php ",
		}},
		"as nginx has it": {Scripts{Try: []string{"$uri", "$uri/", "$uri.html", "$uri.php", "/docs/", "=404"}}, want{
			"/page":     "file /page.html",
			"/about":    "/about.php /about.php ",
			"/none":     "file /docs/index.html",
			"/docs":     "redirect /docs/",
			"/$uri.txt": "file /$uri.txt",
			"/{path}":   "file /docs/index.html",
			"/page/":    "file /docs/index.html",
		}},
		"only the front controller": {Scripts{Try: []string{"/index.php"}}, want{
			"/": "/index.php /index.php ", "/about.php": "/index.php /index.php ", "/a.txt": "/index.php /index.php ",
		}},
		"single-page application": {Scripts{Try: []string{"{path}", "/page.html"}}, want{
			"/": "file /page.html", "/x/y": "file /page.html", "/a.txt": "file /a.txt",
		}},
		"nothing else": {Scripts{Try: []string{"{path}", "=404"}, Index: []string{}}, want{
			"/": notFound, "/admin/": notFound, "/about.php": "/about.php /about.php ",
		}},
		"below a folder": {Scripts{Try: []string{"/app.php{path}", "/app.php/{path}"}}, want{
			"/inner.php/x": "/app.php/inner.php /app.php/inner.php /x", "/style.css": "file /app.php/style.css", "/a.txt": notFound,
		}},
		"a missing fallback": {Scripts{Try: []string{"{path}", "/none.php"}}, want{"/x": notFound}},
		"extensions":         {Scripts{SplitPath: []string{".phtml", ".php"}}, want{"/v.phtml/x": "/v.phtml /v.phtml /x", "/about.php/v.phtml": "/about.php /about.php /v.phtml"}},
		"hidden names":       {Scripts{Files: &Files{Hide: []string{"vendor", "about.*"}}}, want{"/vendor/x.php": notFound, "/about.php": notFound, "/index.php/vendor": "/index.php /index.php /vendor"}},
	} {
		s := &c.scripts
		if s.Files == nil {
			s.Files = &Files{}
		}
		s.Files.Root = root
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for p, want := range c.paths {
			found, err := s.Find(&url.URL{Path: p})
			got := show(found, root)
			if err != nil {
				got = map[bool]string{true: notFound, false: forbidden}[errors.Is(err, ErrNotFound)]
				if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) || found != (Found{}) {
					t.Errorf("%s: %.80q: %+v, %v", name, p, found, err)
				}
			}
			if got != want {
				t.Errorf("%s: %.80q: %q, not %q (%v)", name, p, got, want, err)
			}
			if found.Filename != "" && found.DocumentRoot != root {
				t.Errorf("%s: %.80q: root %q", name, p, found.DocumentRoot)
			}
			if found.File != "" {
				w := httptest.NewRecorder()
				err := s.Files.ServeFile(w, httptest.NewRequest("GET", "/", nil), found.File)
				if strings.Contains(w.Body.String(), source) || err == nil && w.Body.Len() == 0 {
					t.Errorf("%s: %.80q serves %q, %v", name, p, w.Body, err)
				}
			}
		}
		s.Files.Close()
	}
}

func TestFindEncodedSeparators(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "index.php", "a/b.php")
	s := &Scripts{Files: &Files{Root: root}, Try: []string{"{path}", "/index.php"}}
	for _, target := range []string{"/a%2fb.php", "/a%2Fb.php", "/a%5Cb.php", "/index.php/%5c", "/index.php%2fx", "/a/b.php%2F", "/index.php/%252f"} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := s.Find(u); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %+v, %v", target, found, err)
		}
	}
}

// TestFindEncoded: with an encoded slash only the script before it can be meant, or the one
// that handles all.
func TestFindEncoded(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "index.php", "a/b.php", "a/x.txt", ".git/h.php")
	find := func(try []string, raw string) (Found, error) {
		t.Helper()
		path, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatal(err)
		}
		s := &Scripts{Files: &Files{Root: root}, Try: try}
		return s.FindEncoded(&url.URL{Path: path, RawPath: raw})
	}
	front := []string{"{path}", "{path}/", "/index.php"}
	for _, c := range []struct {
		try             []string
		raw, name, info string // name: "" if nothing is found
	}{
		{front, "/a/b.php/c%2Fd/e", "/a/b.php", "/c/d/e"},
		{front, "/a/b.php/c%5cd", "/a/b.php", `/c\d`},
		{front, "/a%2Fb.php", "/index.php", ""},
		{front, "/%2F", "/index.php", ""},
		{front, "/a/x.txt/%2F", "/index.php", ""},
		{front, "/.git/h.php/%2F", "/index.php", ""},
		{front, "/a/b.php/../%2F", "", ""},
		{front, "/a/b.php/%2F..", "", ""},
		{front, "/a/b.php/%2F/./x", "", ""},
		{front, "/a/b.php/.%5Cx", "", ""},
		{front, "/a/b.php/%2F%00", "", ""},
		{front, "/a//b.php/%2F", "", ""},
		{nil, "/a/b.php/c%2Fd", "/a/b.php", "/c/d"},
		{nil, "/a%2Fb.php", "", ""},
		{[]string{"{path}.php", "{path}", "=404", "/index.php"}, "/a/b.php/c%2Fd", "/a/b.php", "/c/d"},
		{[]string{"{path}.php", "{path}", "=404"}, "/c%2Fd", "", ""},
		{[]string{"/p{path}", "/index.php"}, "/a/b.php/c%2Fd", "/index.php", ""},
		{[]string{"/none.php", "{path}"}, "/a/b.php/c%2Fd", "/a/b.php", "/c/d"},
		{front, "/a/b.php/c", "/a/b.php", "/c"}, // as Find
	} {
		found, err := find(c.try, c.raw)
		if (err == nil) != (c.name != "") || found.Name != c.name || found.PathInfo != c.info || err != nil && statusOf(err) != 404 {
			t.Errorf("%s with %q: %+v, %v", c.raw, c.try, found, err)
		}
	}
	s := &Scripts{Files: &Files{Root: root}, Try: front}
	if found, err := s.FindEncoded(&url.URL{Path: "/b/c", RawPath: "/b%2Fc"}); err != nil || found.Name != "/index.php" {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestRealPath checks that PHP gets paths without symlinks, and those of another disk
// with PHPRoot.
func TestRealPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plant(t, dir, "releases/1/public/index.php", "releases/1/public/real/x.php", "releases/1/public/linked -> real", "current -> releases/1")
	for _, c := range []struct{ phpRoot, path, filename, root string }{
		{"", "/index.php", dir + "/releases/1/public/index.php", dir + "/releases/1/public"},
		{"", "/linked/x.php", dir + "/releases/1/public/real/x.php", dir + "/releases/1/public"},
		{"/app", "/linked/x.php", "/app/real/x.php", "/app"},
		{"/app/", "/index.php", "/app/index.php", "/app"},
		{"/", "/index.php", "/index.php", ""},
	} {
		s := &Scripts{Files: &Files{Root: dir + "/current/public/"}, PHPRoot: c.phpRoot}
		found, err := s.Find(&url.URL{Path: c.path})
		if err != nil || found.Filename != c.filename || found.DocumentRoot != c.root || found.Name != c.path {
			t.Errorf("%+v: %+v, %v", c, found, err)
		}
	}
}

func TestRelativeRootAndSlash(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plant(t, dir, "public/x.php", "public/a.txt")
	t.Chdir(dir)
	found, err := (&Scripts{Files: &Files{Root: "public"}}).Find(&url.URL{Path: "/x.php"})
	if err != nil || found.Filename != dir+"/public/x.php" || found.DocumentRoot != dir+"/public" {
		t.Errorf("%+v, %v", found, err)
	}
	s := &Scripts{Files: &Files{Root: "/"}}
	found, err = s.Find(&url.URL{Path: dir + "/public/x.php"})
	if err != nil || found.Filename != dir+"/public/x.php" || found.DocumentRoot != "" {
		t.Errorf("%+v, %v", found, err)
	}
	if resp := get(t, s.Files, "GET", dir+"/public/a.txt"); resp.StatusCode != 200 {
		t.Errorf("status %d below /", resp.StatusCode)
	}
}

func TestCheckScripts(t *testing.T) {
	files := &Files{Root: "/"}
	for want, s := range map[string]*Scripts{
		"no root":        {Files: &Files{}},
		"isn't the name": {Files: files, Index: []string{"a/index.php"}},
		`"php" isn't`:    {Files: files, SplitPath: []string{"php"}},
		`".a/b" isn't`:   {Files: files, SplitPath: []string{".a/b"}},
		"scripts with the extension .cgi would be served": {Files: files, SplitPath: []string{".php", ".cgi"}},
		"scripts with the extension .php would be served": {Files: &Files{Root: "/", Scripts: []string{}}},
		"=404 ends":            {Files: files, Try: []string{"=404", "/index.php"}},
		"has a query":          {Files: files, Try: []string{"{path}", "/index.php?$query_string"}},
		`"=403" can't`:         {Files: files, Try: []string{"=403"}},
		`"index.php" can't`:    {Files: files, Try: []string{"index.php"}},
		`"{path}{path}" can't`: {Files: files, Try: []string{"{path}{path}"}},
		`"$uri$args" can't`:    {Files: files, Try: []string{"$uri$args"}},
		`"{uri}" can't`:        {Files: files, Try: []string{"{uri}"}},
		`"/../x" can't`:        {Files: files, Try: []string{"/../x"}},
		`"app" isn't`:          {Files: files, PHPRoot: "app"},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
