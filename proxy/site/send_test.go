package site

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// digits makes an old file of 100 bytes and an empty one, and returns the site
// with them, and the content.
func digits(t testing.TB) (*Files, string) {
	t.Helper()
	root := t.TempDir()
	plant(t, root, "d.txt", "empty.txt")
	content := strings.Repeat("0123456789", 10)
	for name, text := range map[string]string{"d.txt": content, "empty.txt": ""} {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	f := &Files{Root: root, CacheControl: "max-age=60"}
	t.Cleanup(f.Close)
	return f, content
}

func TestConditionsAndRanges(t *testing.T) {
	f, content := digits(t)
	first := get(t, f, "GET", "/d.txt")
	tag, modified := first.Header.Get("Etag"), first.Header.Get("Last-Modified")
	if tag != fmt.Sprintf(`"%x-64"`, old.UnixNano()) || modified != old.Format(http.TimeFormat) {
		t.Fatalf("ETag %s, Last-Modified %s", tag, modified)
	}
	if got := body(t, first); got != content || first.Header.Get("Cache-Control") != "max-age=60" || first.Header.Get("Accept-Ranges") != "bytes" {
		t.Fatalf("%q, %v", got, first.Header)
	}
	before, after := old.Add(-time.Hour).Format(http.TimeFormat), old.Add(time.Hour).Format(http.TimeFormat)
	many := "Range: bytes=0-1" + strings.Repeat(",2-3", maxRanges-1)
	for _, c := range []struct {
		method, target string
		fields         []string
		status         int
		want           string // a body
		contentRange   string
	}{
		{"GET", "/d.txt", []string{"If-None-Match: " + tag}, 304, "", ""},
		{"HEAD", "/d.txt", []string{"If-None-Match: " + tag}, 304, "", ""},
		{"GET", "/d.txt", []string{"If-None-Match: W/" + tag}, 304, "", ""},
		{"GET", "/d.txt", []string{`If-None-Match: "a", ` + tag + `, "b"`}, 304, "", ""},
		{"GET", "/d.txt", []string{"If-None-Match: *"}, 304, "", ""},
		{"GET", "/d.txt", []string{`If-None-Match: "other"`}, 200, content, ""},
		{"GET", "/d.txt", []string{`If-None-Match: "other"`, "If-Modified-Since: " + after}, 200, content, ""},
		{"GET", "/d.txt", []string{"If-Modified-Since: " + modified}, 304, "", ""},
		{"GET", "/d.txt", []string{"If-Modified-Since: " + before}, 200, content, ""},
		{"GET", "/d.txt", []string{"If-Modified-Since: nonsense"}, 200, content, ""},
		{"GET", "/d.txt", []string{"If-Match: " + tag}, 200, content, ""},
		{"GET", "/d.txt", []string{`If-Match: "other"`}, 412, "", ""},
		{"GET", "/d.txt", []string{"If-Unmodified-Since: " + before}, 412, "", ""},
		{"HEAD", "/d.txt", []string{"If-Unmodified-Since: " + before}, 412, "", ""},

		{"GET", "/d.txt", []string{"Range: bytes=0-4"}, 206, "01234", "bytes 0-4/100"},
		{"GET", "/d.txt", []string{"Range: bytes=98-"}, 206, "89", "bytes 98-99/100"},
		{"GET", "/d.txt", []string{"Range: bytes=-3"}, 206, "789", "bytes 97-99/100"},
		{"GET", "/d.txt", []string{"Range: bytes=-300"}, 206, content, "bytes 0-99/100"},
		{"GET", "/d.txt", []string{"Range: bytes=95-1000"}, 206, "56789", "bytes 95-99/100"},
		{"GET", "/d.txt", []string{"Range: bytes=100-"}, 416, "", "bytes */100"},
		{"HEAD", "/d.txt", []string{"Range: bytes=100-"}, 200, "", ""},
		{"HEAD", "/d.txt", []string{"Range: bytes=0-4"}, 200, "", ""},
		{"GET", "/d.txt", []string{"Range: bytes=5-4"}, 416, "", ""},
		{"GET", "/d.txt", []string{"Range: bytes=x"}, 416, "", ""},
		{"GET", "/d.txt", []string{"Range: bytes=18446744073709551616-"}, 416, "", ""},
		{"GET", "/d.txt", []string{"Range: lines=0-4"}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", "Range: bytes=6-7"}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-99,0-99"}, 200, content, ""},
		{"GET", "/d.txt", []string{many + ",2-3"}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", "If-Range: " + tag}, 206, "01234", "bytes 0-4/100"},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", "If-Range: W/" + tag}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", `If-Range: "other"`}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", "If-Range: " + modified}, 206, "01234", "bytes 0-4/100"},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", "If-Range: " + before}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-4", "If-None-Match: " + tag}, 304, "", ""},
		{"GET", "/empty.txt", nil, 200, "", ""},
		{"GET", "/d.txt", []string{"Range: bytes=-0"}, 200, content, ""},
		{"GET", "/d.txt", []string{"Range: bytes=0-4, - +00"}, 200, content, ""},
		{"GET", "/empty.txt", []string{"Range: bytes=0-"}, 200, "", ""},
		{"GET", "/empty.txt", []string{"Range: bytes=-5"}, 200, "", ""},
	} {
		resp := get(t, f, c.method, c.target, c.fields...)
		got, h := body(t, resp), resp.Header
		if resp.StatusCode != c.status || got != c.want || h.Get("Content-Range") != c.contentRange {
			t.Errorf("%s %v: %d %q, Content-Range %q", c.method, c.fields, resp.StatusCode, got, h.Get("Content-Range"))
		}
		switch kept := h.Get("Etag") != "" && h.Get("Cache-Control") != ""; {
		case c.status >= 400 && (kept || h.Get("Content-Type") != "" || h.Get("Content-Length") != "" || h.Get("Last-Modified") != ""):
			t.Errorf("%s %v: a refusal has the file's fields: %v", c.method, c.fields, h)
		case c.status < 400 && !kept:
			t.Errorf("%s %v: fields are missing: %v", c.method, c.fields, h)
		case c.status == 304 && (h.Get("Content-Type") != "" || h.Get("Content-Length") != ""):
			t.Errorf("%s %v: %v", c.method, c.fields, h)
		case (c.status == 200 || c.status == 206) && c.method == "GET" && resp.ContentLength != int64(len(c.want)):
			t.Errorf("%s %v: Content-Length %d", c.method, c.fields, resp.ContentLength)
		}
	}
}

// TestConditionsOfKnownFiles: each condition counts by itself for a file that is remembered,
// too.
func TestConditionsOfKnownFiles(t *testing.T) {
	for _, field := range []string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range"} {
		if !isConditional(http.Header{field: {"x"}}) {
			t.Errorf("%s isn't looked at", field)
		}
	}
	if isConditional(http.Header{"Accept": {"x"}}) {
		t.Error("Accept is a condition")
	}
}

func TestSeveralRanges(t *testing.T) {
	f, content := digits(t)
	resp := get(t, f, "GET", "/d.txt", "Range: bytes=0-1,50-54,-1")
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" || resp.StatusCode != 206 {
		t.Fatal(resp.StatusCode, kind, err)
	}
	text := body(t, resp)
	if int64(len(text)) != resp.ContentLength {
		t.Errorf("%d bytes, Content-Length %d", len(text), resp.ContentLength)
	}
	parts := multipart.NewReader(strings.NewReader(text), params["boundary"])
	for _, want := range []struct{ contentRange, text string }{
		{"bytes 0-1/100", content[:2]}, {"bytes 50-54/100", content[50:55]}, {"bytes 99-99/100", content[99:]},
	} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(part)
		if err != nil || string(got) != want.text || part.Header.Get("Content-Range") != want.contentRange || part.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%q, %v, %v", got, part.Header, err)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Error(err)
	}
}

func TestTypes(t *testing.T) {
	root := t.TempDir()
	f := &Files{Root: root, Types: map[string]string{".conf": "text/plain", "": "text/x-none", ".css": "text/x-own"}}
	for name, want := range map[string]string{
		"a.html": "text/html", "A.HTM": "text/html", "a.js": "text/javascript; charset=utf-8",
		"a.mjs": "text/javascript; charset=utf-8", "a.svg": "image/svg+xml", "a.wasm": "application/wasm", "a.webmanifest": "application/manifest+json",
		"a.avif": "image/avif", "a.webp": "image/webp", "a.woff2": "font/woff2", "a.json": "application/json", "a.js.map": "application/json",
		"a.pdf": "application/pdf", "a.mp4": "video/mp4", "a.txt": "text/plain", "a.css": "text/x-own", "a.conf": "text/plain",
		"none": "text/x-none", "a.unknown": UnknownType, "a.html.bak": UnknownType, "a.": UnknownType,
	} {
		// The content would be taken for a page, were it looked at.
		if err := os.WriteFile(filepath.Join(root, name), []byte("<!DOCTYPE html><script>"), 0o644); err != nil {
			t.Fatal(err)
		}
		h := get(t, f, "GET", "/"+name).Header
		if h.Get("Content-Type") != want || (h.Get("X-Content-Type-Options") == "nosniff") != (want == UnknownType) {
			t.Errorf("%s: %v", name, h)
		}
	}
}

func TestEntityTags(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		size int64
		want string
	}{
		{time.Hour, 255, fmt.Sprintf(`"%x-ff"`, old.UnixNano())},
		{2 * time.Second, 0, fmt.Sprintf(`"%x-0"`, old.UnixNano())},
		{2*time.Second - 1, 0, fmt.Sprintf(`W/"%x-0"`, old.UnixNano())},
		{-time.Hour, 0, fmt.Sprintf(`W/"%x-0"`, old.UnixNano())},
	} {
		if got := entityTag(old, c.size, old.Add(c.age), ""); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	f, _ := digits(t)
	for _, seconds := range []int64{0, 1} {
		at := time.Unix(seconds, 0)
		if err := os.Chtimes(f.Root+"/d.txt", at, at); err != nil {
			t.Fatal(err)
		}
		resp := get(t, f, "GET", "/d.txt", "If-Modified-Since: "+old.Format(http.TimeFormat), "If-None-Match: *")
		if h := resp.Header; h.Get("Etag") != "" || h.Get("Last-Modified") != "" {
			t.Errorf("changed at %d: %v", seconds, h)
		}
	}
	if err := os.Chtimes(f.Root+"/d.txt", time.Unix(-5, 7), time.Unix(-5, 7)); err != nil {
		t.Fatal(err)
	}
	if tag := get(t, f, "GET", "/d.txt").Header.Get("Etag"); len(tag) != len(`"fffffffed5fa0e07-64"`) {
		t.Error(tag)
	}
}

// pipeWriter is a ResponseWriter that keeps what ReadFrom gets.
type pipeWriter struct {
	*httptest.ResponseRecorder
	got io.Reader
}

func (w *pipeWriter) ReadFrom(src io.Reader) (int64, error) {
	w.got = src
	return io.Copy(w.ResponseRecorder, src)
}

// TestSendfile checks that a ResponseWriter gets the file itself, in the form for
// which package net uses sendfile(2).
func TestSendfile(t *testing.T) {
	f, content := digits(t)
	for field, want := range map[string]string{"": content, "bytes=10-19": content[10:20]} {
		r := httptest.NewRequest("GET", "/d.txt", nil)
		if field != "" {
			r.Header.Set("Range", field)
		}
		w := &pipeWriter{ResponseRecorder: httptest.NewRecorder()}
		if err := f.Serve(w, r, nil, nil); err != nil || w.Body.String() != want {
			t.Errorf("%q, %v", w.Body, err)
		}
		limited, ok := w.got.(*io.LimitedReader)
		if !ok {
			t.Fatalf("the writer got a %T", w.got)
		}
		if _, ok := limited.R.(*os.File); !ok {
			t.Errorf("the writer got a %T of a %T", w.got, limited.R)
		}
	}
}

// brokenWriter accepts some bytes, then does something or fails.
type brokenWriter struct {
	http.ResponseWriter
	room int
	then func()
}

var errGone = errors.New("the client is gone")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.then != nil {
		w.then()
		w.then = nil
	}
	n := min(len(p), w.room)
	w.room -= n
	w.ResponseWriter.Write(p[:n])
	if n < len(p) {
		return n, errGone
	}
	return n, nil
}

// brokenReaderFrom is a brokenWriter with a ReadFrom.
type brokenReaderFrom struct{ brokenWriter }

func (w *brokenReaderFrom) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(&w.brokenWriter, src)
}

func TestCutResponses(t *testing.T) {
	f, _ := digits(t)
	big := filepath.Join(f.Root, "big.bin")
	fill := func() {
		if err := os.WriteFile(big, bytes.Repeat([]byte("x"), 200_000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, field := range []string{"", "bytes=1-", "bytes=0-5000,100000-150000"} {
		for _, readerFrom := range []bool{false, true} {
			for name, c := range map[string]struct {
				room int
				then func()
				want error
			}{
				"client gone":     {40_000, nil, errGone},
				"client gone now": {0, nil, errGone},
				"truncated":       {1 << 20, func() { os.Truncate(big, 70_000) }, io.ErrUnexpectedEOF},
				"whole":           {1 << 20, nil, nil},
			} {
				fill()
				r := httptest.NewRequest("GET", "/big.bin", nil)
				if field != "" {
					r.Header.Set("Range", field)
				}
				var w http.ResponseWriter = &brokenWriter{httptest.NewRecorder(), c.room, c.then}
				if readerFrom {
					w = &brokenReaderFrom{brokenWriter{httptest.NewRecorder(), c.room, c.then}}
				}
				err := f.Serve(w, r, nil, nil)
				if c.want == nil && err != nil || c.want != nil && (!errors.Is(err, ErrCut) || !errors.Is(err, c.want)) {
					t.Errorf("%s, range %q, ReaderFrom %t: %v", name, field, readerFrom, err)
				}
			}
		}
	}
}

// TestCutContentEncoding cuts a file whose response has no Content-Length by itself:
// http.ServeContent sends none if there is a Content-Encoding.
func TestCutContentEncoding(t *testing.T) {
	f, content := digits(t)
	f.Precompressed = []string{"gzip"}
	if err := os.Link(filepath.Join(f.Root, "d.txt"), filepath.Join(f.Root, "d.txt.gz")); err != nil {
		t.Fatal(err)
	}
	for room, want := range map[int]bool{100: false, 99: true} {
		w := &brokenWriter{httptest.NewRecorder(), room, nil}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		if err := f.ServeName(w, r, "/d.txt"); errors.Is(err, ErrCut) != want || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("room for %d of %d: %v", room, len(content), err)
		}
	}
}

// TestOverHTTP serves through net/http: a whole file, and one that is cut.
func TestOverHTTP(t *testing.T) {
	f, content := digits(t)
	server := httptest.NewServer(handler(f))
	defer server.Close()
	resp, err := http.Get(server.URL + "/d.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := body(t, resp); got != content || resp.ContentLength != 100 {
		t.Errorf("%q, length %d", got, resp.ContentLength)
	}
	// Of a sparse file that is cut while it's sent, the client must see that it
	// isn't whole.
	big := f.Root + "/big.bin"
	file, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	resp, err = http.Get(server.URL + "/big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := file.Truncate(1 << 10); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n == 1<<30 {
		t.Errorf("%d bytes, %v", n, err)
	}
}
