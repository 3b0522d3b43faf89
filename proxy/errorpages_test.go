package proxy

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorPages: pages are for mkd's own errors, and for those of an upstream only with
// intercept.
func TestErrorPages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"404.html": "<p>not here", "5xx.txt": "our fault", "own.html": "<p>own", "401.html": "<p>who?"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/404"):
			w.Header().Set("Content-Type", "text/css")
			w.Header().Set("Set-Cookie", "a=b")
			w.WriteHeader(404)
			io.WriteString(w, "the upstream's own")
		case strings.HasSuffix(r.URL.Path, "/500"):
			w.WriteHeader(500)
			for range 100 { // without an end, as far as mkd is concerned
				if _, err := io.WriteString(w, strings.Repeat("x", 10_000)); err != nil {
					return
				}
			}
		case strings.HasSuffix(r.URL.Path, "/403"):
			w.WriteHeader(403)
			io.WriteString(w, "the upstream's own")
		default:
			io.WriteString(w, "ok")
		}
	})
	p, log := everyListener(t, rec.URL, `
  - {match: {paths: [/in/*]}, error_pages: {pages: {404: `+dir+`/own.html, 5xx: `+dir+`/5xx.txt}, intercept: true}, compress: {}, backend: api}
  - {match: {paths: [/guarded]}, auth: {basic: {users_file: `+usersFile(t, "ann")+`}}, backend: api}
  - {match: {paths: [/none/*]}, routes: [{match: {paths: [/none/x]}, backend: api}]}
  - {match: {paths: [/out/*]}, backend: api}
error_pages: {pages: {404: `+dir+`/404.html, 5xx: `+dir+`/5xx.txt, 401: `+dir+`/401.html}}
`)
	for _, c := range []struct {
		path   string
		status int
		words  string // of the response, with | between them
	}{
		{"/nowhere", 404, "text/html|<p>not here"},
		{"/none/y", 404, "<p>not here"},
		{"/guarded", 401, `Basic realm="restricted"|<p>who?`},
		{"/out/404", 404, "text/css|the upstream's own"},
		{"/in/404", 404, "text/html|Set-Cookie: a=b|<p>own"},
		{"/in/500", 500, "text/plain|our fault"},
		{"/in/403", 403, "the upstream's own"},
		{"/in/x", 200, "ok"},
	} {
		for _, way := range allWays {
			response := way.send(t, p, "GET "+c.path+" HTTP/1.1\r\nHost: example.org\r\nAccept-Encoding: identity\r\n\r\n")
			if response == nil || status(t, response) != c.status {
				t.Errorf("%s over %s: %.300q, want %d", c.path, way.name, response, c.status)
				continue
			}
			for word := range strings.SplitSeq(c.words, "|") {
				if !strings.Contains(string(response), word) {
					t.Errorf("%s over %s: %.300q, want %s", c.path, way.name, response, word)
				}
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, "404.html")); err != nil {
		t.Fatal(err)
	}
	if response := sendWeb(t, p, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(string(response), "404 Not Found\n") {
		t.Errorf("without its file: %q", response)
	}
	awaitLog(t, log, "an error page can't be read")
}

// TestMaintenance: all listeners refuse requests, raw messages too, and a reload changes
// nothing.
func TestMaintenance(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, "  - {match: {payload: raw}, respond: {body: raw}}\n  - {backend: api}\n")
	p.SetMaintenance(true)
	if err := p.Reload(t.Context(), p.current.Load().cfg); err != nil {
		t.Fatal(err)
	}
	for _, way := range allWays {
		response := way.send(t, p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if response == nil || status(t, response) != 503 || !strings.Contains(string(response), "Retry-After: 60\r\n") {
			t.Errorf("over %s: %q", way.name, response)
		}
	}
	if got, err := client(t, p, "app").Send(t.Context(), []byte("raw")); err == nil {
		t.Errorf("a raw message gets %q", got)
	}
	if saw := rec.take(); len(saw) > 0 || !p.Status().Maintenance {
		t.Errorf("the upstream saw %q; the status is %v", saw, p.Status().Maintenance)
	}
	p.SetMaintenance(false)
	if response := sendWeb(t, p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); response == nil || status(t, response) != 200 {
		t.Errorf("afterwards: %q", response)
	}
}
