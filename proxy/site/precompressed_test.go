package site

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPrecompressed(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "app.js", "app.js.gz", "app.js.br", "app.js.zst", "only.js", "only.js.gz", "old.js", "old.js.br", "old.js.gz", "index.html", "index.html.br", "x.css", "x.css.br/")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, name := range []string{"app.js", "app.js.gz", "app.js.br", "app.js.zst", "only.js", "only.js.gz", "old.js", "old.js.gz", "index.html", "index.html.br", "x.css"} {
		must(os.Chtimes(filepath.Join(root, name), now, now))
	}
	must(os.Chtimes(filepath.Join(root, "old.js.br"), now, now.Add(-time.Second)))
	f := &Files{Root: root, Precompressed: []string{"zstd", "br", "gzip"}}
	must(f.Check())
	for _, c := range []struct{ target, accept, want, coding string }{
		{"/app.js", "", "app.js", ""},
		{"/app.js", "gzip", "app.js.gz", "gzip"},
		{"/app.js", "gzip, br", "app.js.br", "br"},
		{"/app.js", "gzip, br, zstd", "app.js.zst", "zstd"},
		{"/app.js", "gzip, br;q=0.5", "app.js.gz", "gzip"},
		{"/app.js", "identity, gzip;q=0.5", "app.js", ""},
		{"/app.js", "deflate", "app.js", ""},
		{"/only.js", "gzip, br, zstd", "only.js.gz", "gzip"},
		{"/only.js", "br, zstd", "only.js", ""},
		{"/old.js", "gzip, br", "old.js.gz", "gzip"}, // that of br is older
		{"/old.js", "br", "old.js", ""},
		{"/", "br", "index.html.br", "br"},
		{"/x.css", "br", "x.css", ""}, // a folder
		{"/app.js.gz", "gzip", "app.js.gz", ""},
	} {
		resp := get(t, f, "GET", c.target, "Accept-Encoding: "+c.accept)
		got := body(t, resp)
		h := resp.Header
		if got != c.want || h.Get("Content-Encoding") != c.coding || h.Get("Vary") != "Accept-Encoding" || resp.ContentLength != int64(len(c.want)) {
			t.Errorf("%s for %q: %q, %v", c.target, c.accept, got, h)
		}
		if c.target == "/app.js" && h.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("for %q: %v", c.accept, h)
		}
	}

	// Variants have tags of their own, by which they are revalidated.
	tags := make(map[string]string)
	for _, accept := range []string{"identity", "gzip", "br", "zstd"} {
		tag := get(t, f, "GET", "/app.js", "Accept-Encoding: "+accept).Header.Get("Etag")
		if other, taken := tags[tag]; taken || tag == "" {
			t.Errorf("%s and %s have the ETag %q", accept, other, tag)
		}
		tags[tag] = accept
	}
	for tag, accept := range tags {
		for _, asks := range []string{"identity", "gzip", "br", "zstd"} {
			resp := get(t, f, "GET", "/app.js", "Accept-Encoding: "+asks, "If-None-Match: "+tag)
			want := 200
			if asks == accept {
				want = 304
			}
			if resp.StatusCode != want || resp.Header.Get("Vary") == "" {
				t.Errorf("%s has %s: %d, %v", asks, accept, resp.StatusCode, resp.Header)
			}
		}
	}

	// A range is one of the encoded bytes.
	resp := get(t, f, "GET", "/app.js", "Accept-Encoding: gzip", "Range: bytes=4-8")
	if got := body(t, resp); resp.StatusCode != 206 || got != "js.gz"[:5] || resp.Header.Get("Content-Range") != "bytes 4-8/9" || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d, %q, %v", resp.StatusCode, got, resp.Header)
	}
	resp = get(t, f, "GET", "/app.js", "Accept-Encoding: gzip", "Range: bytes=100-")
	if resp.StatusCode != 416 || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d, %v", resp.StatusCode, resp.Header)
	}
	if resp = get(t, f, "HEAD", "/app.js", "Accept-Encoding: br"); resp.ContentLength != 9 || resp.Header.Get("Content-Encoding") != "br" {
		t.Errorf("HEAD: %v", resp.Header)
	}
	if err := (&Files{Root: root, Precompressed: []string{"deflate"}}).Check(); err == nil {
		t.Error("deflate is taken")
	}
}

// TestPrecompressedSecrets checks that a variant leads nowhere that a file doesn't.
func TestPrecompressedSecrets(t *testing.T) {
	outside := t.TempDir()
	plant(t, outside, "secret")
	root := t.TempDir()
	plant(t, root, "a.txt", "a.txt.gz -> "+outside+"/secret", "b.txt", "b.txt.gz -> .env", ".env", "x.php", "c.txt", "c.txt.gz -> x.php")
	f := &Files{Root: root, Precompressed: []string{"gzip"}}
	for _, target := range []string{"/a.txt", "/c.txt"} {
		if got := body(t, get(t, f, "GET", target, "Accept-Encoding: gzip")); got != target[1:] {
			t.Errorf("%s: %q", target, got)
		}
	}
	if resp := get(t, f, "GET", "/x.php", "Accept-Encoding: gzip"); resp.StatusCode != 404 {
		t.Errorf("a script: %d", resp.StatusCode)
	}
}
