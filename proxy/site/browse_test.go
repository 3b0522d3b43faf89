package site

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// links returns the hrefs of a listing, without those that sort it.
func links(page string) (all []string) {
	for _, m := range regexp.MustCompile(`<td><a href="([^"]*)">`).FindAllStringSubmatch(page, -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

func TestBrowse(t *testing.T) {
	outside := t.TempDir()
	plant(t, outside, "secret.txt")
	root := t.TempDir()
	plant(t, root, "a.txt", "B.txt", "sub/x", "zoo/", "with/index.html", ".env", ".git/config", "node_modules/a.js", "x.php", "y.inc", "old.SQL",
		"source.txt -> x.php", "out.txt -> "+outside+"/secret.txt", "gone.txt -> nothing", "inside -> sub",
		"odd/javascript:alert(1)", "odd/<b>&\"'.txt", "odd/a b?c#d%.txt", "odd/back\\slash", "odd/a%2fb", "odd/\xff", "odd/new\nline")
	f := &Files{Root: root, Browse: true, Hide: []string{"node_modules", "*.sql"}}

	resp := get(t, f, "GET", "/")
	page := body(t, resp)
	if got, want := strings.Join(links(page), " "), "./inside/ ./odd/ ./sub/ ./with/ ./zoo/ ./a.txt ./B.txt"; got != want || resp.StatusCode != 200 {
		t.Errorf("%d: %s\nwant %s", resp.StatusCode, got, want)
	}
	h := resp.Header
	if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" ||
		h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-cache" || h.Get("Content-Length") != fmt.Sprint(len(page)) {
		t.Errorf("%v", h)
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "style") {
		t.Error("the page needs what its policy forbids")
	}
	if head := get(t, f, "HEAD", "/"); head.Header.Get("Content-Length") != fmt.Sprint(len(page)) || body(t, head) != "" {
		t.Errorf("HEAD: %v", head.Header)
	}
	// Each link leads to what it names.
	odd := body(t, get(t, f, "GET", "/odd/"))
	all := links(odd)
	if len(all) != 6 || all[0] != "../" {
		t.Errorf("%q", all)
	}
	for _, link := range all[1:] {
		if !strings.HasPrefix(link, "./") || strings.ContainsAny(link, "<>\"' \n#?") {
			t.Errorf("the link %q", link)
			continue
		}
		if resp := get(t, f, "GET", "/odd/"+link[2:]); resp.StatusCode != 200 {
			t.Errorf("%s: %d", link, resp.StatusCode)
		}
	}
	if strings.Contains(odd, "<b>") || !strings.Contains(odd, "&lt;b&gt;&amp;&#34;&#39;.txt") {
		t.Errorf("a name isn't escaped:\n%s", odd)
	}
	for target, want := range map[string]int{"/sub": 301, "/with/": 200, "/.git/": 404, "/.git": 404, "/node_modules/": 404, "/none/": 404, "/a.txt/": 404, "/zoo/": 200, "/out/": 404} {
		if resp := get(t, f, "GET", target); resp.StatusCode != want {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
	if got := body(t, get(t, f, "GET", "/with/")); got != "with/index.html" {
		t.Errorf("the index: %q", got)
	}
	f.Browse = false
	if resp := get(t, f, "GET", "/sub/"); resp.StatusCode != 404 {
		t.Errorf("listed without Browse: %d", resp.StatusCode)
	}
}

// TestBrowseColumns: a row has the name, the size and the time of an entry.
func TestBrowseColumns(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a.txt", "sub/x")
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, name := range []string{"a.txt", "sub"} {
		if err := os.Chtimes(filepath.Join(root, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	page := body(t, get(t, &Files{Root: root, Browse: true}, "GET", "/"))
	for _, row := range []string{
		`<tr><td><a href="./sub/">sub/</a></td><td align="right"></td><td>2026-01-02 03:04:05</td></tr>`,
		`<tr><td><a href="./a.txt">a.txt</a></td><td align="right">5</td><td>2026-01-02 03:04:05</td></tr>`,
	} {
		if !strings.Contains(page, row) {
			t.Errorf("no row %s in\n%s", row, page)
		}
	}
}

func TestBrowseSorts(t *testing.T) {
	root := t.TempDir()
	for i, name := range []string{"b", "a", "c"} {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, make([]byte, 10-i), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000*(i*2%3)), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	plant(t, root, "folder/")
	f := &Files{Root: root, Browse: true}
	for query, want := range map[string]string{
		"":                      "abc",
		"?sort=name&order=desc": "cba",
		"?sort=size":            "cab",
		"?sort=size&order=desc": "bac",
		"?sort=time":            "bca",
		"?sort=time&order=desc": "acb",
		"?sort=x&order=y":       "abc",
		"?sort=<script>":        "abc",
		"?%zz;":                 "abc",
	} {
		page := body(t, get(t, f, "GET", "/"+query))
		got := strings.NewReplacer("./", "").Replace(strings.Join(links(page), ""))
		if got != "folder/"+want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if strings.Contains(page, "<script>") {
			t.Errorf("%s is in the page", query)
		}
	}
}

// TestBrowseIsBounded lists a folder with more entries than are looked at.
func TestBrowseIsBounded(t *testing.T) {
	root := t.TempDir()
	for i := range maxListed + 10 {
		if err := os.Link(os.DevNull, filepath.Join(root, fmt.Sprint(i))); err == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(root, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page := body(t, get(t, &Files{Root: root, Browse: true}, "GET", "/"))
	if n := len(links(page)); n != maxListed || !strings.Contains(page, "more than 4096 entries") {
		t.Errorf("%d entries", n)
	}
}

// TestTryListsFolders finds a folder to list by Scripts.
func TestTryListsFolders(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "sub/x")
	f := &Files{Root: root, Browse: true}
	s := &Scripts{Files: f, Index: []string{"index.html"}, Try: []string{"{path}", "{path}/"}}
	r, _ := http.NewRequest("GET", "http://x/sub/", nil)
	found, err := s.Find(r.URL)
	if err != nil || found.Folder != "/sub/" {
		t.Fatalf("%+v, %v", found, err)
	}
	r.URL.Path = "/sub"
	if found, err = s.Find(r.URL); err != nil || found.Redirect != "/sub/" {
		t.Errorf("%+v, %v", found, err)
	}
}
