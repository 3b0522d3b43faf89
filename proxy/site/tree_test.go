package site

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// source is in the source of each script, and in no response.
const source = "<?php secret();"

// old is a time so long ago that an ETag is strong.
var old = time.Date(2024, 2, 29, 12, 30, 15, 123456789, time.UTC)

// plant makes files below a folder: "a/b.txt" with its name as its content (a
// script has its source), "dir/" a folder, "link -> target" a symlink.
func plant(t testing.TB, dir string, entries ...string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range entries {
		name, target, link := strings.Cut(entry, " -> ")
		path := filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case link:
			must(os.Symlink(target, path))
		case strings.HasSuffix(name, "/"):
			must(os.MkdirAll(path, 0o755))
		default:
			text := name
			if lower := strings.ToLower(filepath.Base(name)); strings.Contains(lower, ".ph") || strings.Contains(lower, ".inc") {
				text = source
			}
			must(os.WriteFile(path, []byte(text), 0o644))
			must(os.Chtimes(path, old, old))
		}
	}
}

// statusOf returns the status that a caller sends for an error.
func statusOf(err error) int {
	for _, is := range []struct {
		err    error
		status int
	}{
		{ErrRoot, 503}, {ErrNotFound, 404}, {ErrForbidden, 403}, {ErrMethod, 405}, {ErrRange, 416}, {ErrPrecondition, 412},
	} {
		if errors.Is(err, is.err) {
			return is.status
		}
	}
	return 500
}

// handler serves with f as a caller would.
func handler(f *Files) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f.Serve(w, r, nil, nil); errors.Is(err, ErrCut) {
			panic(http.ErrAbortHandler)
		} else if err != nil {
			w.WriteHeader(statusOf(err))
		}
	})
}

// get requests a target from f, with header fields as "Name: value".
func get(t testing.TB, f *Files, method, target string, fields ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, "http://example.org"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	handler(f).ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
