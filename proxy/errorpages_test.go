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
	awaitLog(t, log, "an error page can't be had")
}

// TestErrorPagesOfBackend has backends make the pages: an upstream, once for all errors
// of a while, and files. What the backend can't make is mkd's own text.
func TestErrorPagesOfBackend(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "500.html"), []byte("<p>a file"), 0o644); err != nil {
		t.Fatal(err)
	}
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/errors/404":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Set-Cookie", "a=b")
			io.WriteString(w, "<p>made for "+r.Host+r.URL.RawQuery+r.Header.Get("Cookie"))
		case "/errors/long":
			io.WriteString(w, strings.Repeat("x", 1<<20+1))
		case "/in":
			w.WriteHeader(500)
		default:
			w.WriteHeader(404)
			io.WriteString(w, "nothing")
		}
	})
	p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
  pages: {files: {root: `+dir+`}}
routes:
  - {match: {paths: [/in]}, error_pages: {pages: {500: /500.html}, backend: pages, intercept: true}, backend: api}
  - {match: {paths: [/long]}, error_pages: {pages: {405: /errors/long}, backend: api}, backend: pages}
  - {match: {paths: [/gone]}, error_pages: {pages: {404: /errors/none}, backend: api}, backend: pages}
error_pages: {pages: {404: "/errors/404?q"}, backend: api}
`))
	for _, way := range allWays {
		for _, c := range []struct {
			request string
			status  int
			words   string
		}{
			{"GET /nowhere", 404, "text/html|<p>made for localhostq"},
			{"GET /in", 500, "text/html|<p>a file"},
			{"POST /long", 405, "405 Method Not Allowed\n"},
			{"GET /gone", 404, "404 Not Found\n"},
		} {
			response := way.send(t, p, c.request+" HTTP/1.1\r\nHost: example.org\r\nCookie: c=d\r\n\r\n")
			if response == nil || status(t, response) != c.status || strings.Contains(string(response), "a=b") {
				t.Errorf("%s over %s: %.300q, want %d", c.request, way.name, response, c.status)
				continue
			}
			for word := range strings.SplitSeq(c.words, "|") {
				if !strings.Contains(string(response), word) {
					t.Errorf("%s over %s: %.300q, want %s", c.request, way.name, response, word)
				}
			}
		}
	}
	asked := 0
	for _, saw := range rec.take() {
		if strings.Contains(saw.line, "/errors/404") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("the upstream was asked %d times for the same page", asked)
	}
	awaitLog(t, log, "the page is larger than 1 MiB")
	awaitLog(t, log, "has the status 404, not 200")
}

// TestMaintenance: all listeners refuse requests, raw messages too, and a reload changes
// nothing.
func TestMaintenance(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, "  - {match: {payload: raw}, respond: {body: raw}}\n  - {backend: api}\n")
	if err := p.SetMaintenance(true); err != nil {
		t.Fatal(err)
	}
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
	if err := p.SetMaintenance(false); err != nil {
		t.Fatal(err)
	}
	if response := sendWeb(t, p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); response == nil || status(t, response) != 200 {
		t.Errorf("afterwards: %q", response)
	}
}

// TestMaintenanceOutlivesTheProcess: the next process, after an upgrade or a restart, is in
// maintenance too, until it is turned off.
func TestMaintenanceOutlivesTheProcess(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "storage") // which isn't there yet
	run := func() (*Daemon, string) {
		return start(t, load(t, `
storage: `+storage+`
listeners:
  web: {http: {address: "127.0.0.1:0"}}
routes:
  - respond: {body: ok}
`))
	}
	get := func(p *Daemon) int { return status(t, sendWeb(t, p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")) }
	first, _ := run()
	if err := first.SetMaintenance(true); err != nil {
		t.Fatal(err)
	}
	second, log := run()
	if get(second) != 503 || !second.Status().Maintenance {
		t.Error("the second process isn't in maintenance")
	}
	awaitLog(t, log, "maintenance is on, as before")
	if err := second.SetMaintenance(false); err != nil {
		t.Fatal(err)
	}
	if third, _ := run(); get(second) != 200 || get(third) != 200 {
		t.Error("it is on although it was turned off")
	}
	if err := second.SetMaintenance(false); err != nil { // once more
		t.Error(err)
	}

	// A folder that can't be made.
	if err := os.RemoveAll(storage); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(storage, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := second.SetMaintenance(true); err == nil || !strings.Contains(err.Error(), "a restart would end it") || get(second) != 503 {
		t.Errorf("without its folder: %v, and the status is %d", err, get(second))
	}
}

// TestErrorPageOfSlowBackend: while a backend makes a page, only one request waits.
func TestErrorPageOfSlowBackend(t *testing.T) {
	asked, respond := make(chan bool, 1), make(chan bool)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-respond
		io.WriteString(w, "made")
	})
	p, _ := everyListener(t, rec.URL, `
  - {match: {paths: [/api]}, backend: api}
error_pages: {pages: {404: /404}, backend: api}
`)
	first := make(chan string)
	go func() { first <- string(sendWeb(t, p, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n")) }()
	<-asked
	if response := sendWeb(t, p, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(string(response), "404 Not Found\n") {
		t.Errorf("meanwhile: %q", response)
	}
	close(respond)
	if response := <-first; !strings.HasSuffix(response, "made") {
		t.Errorf("the first: %q", response)
	}
	if response := sendWeb(t, p, "GET /c HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasSuffix(string(response), "made") {
		t.Errorf("afterwards: %q", response)
	}
}

// TestErrorPageInPlaceOfSlowBody: a page waited for the end of the body that it replaces, for
// as long as the server liked.
func TestErrorPageInPlaceOfSlowBody(t *testing.T) {
	page := filepath.Join(t.TempDir(), "5xx.txt")
	if err := os.WriteFile(page, []byte("our fault"), 0o644); err != nil {
		t.Fatal(err)
	}
	left := make(chan bool, 4)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, "the upstream's own, which doesn't end")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- true
	})
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
  slow: {http: {upstreams: [{url: `+rec.URL+`}], buffer: true}}
routes:
  - {match: {paths: [/buffered]}, backend: slow}
  - {match: {paths: [/compressed]}, compress: true, backend: api}
  - {backend: api}
error_pages: {pages: {5xx: `+page+`}, intercept: true}
`))
	for _, path := range []string{"/", "/buffered", "/compressed"} {
		response := string(sendWeb(t, p, "GET "+path+" HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"))
		if !strings.HasPrefix(response, "HTTP/1.1 500 ") || !strings.HasSuffix(response, "our fault") {
			t.Errorf("%s: %q", path, response)
		}
		<-left
	}
}
