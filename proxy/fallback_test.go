package proxy

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFallback: an application responds where there is no file, through each listener.
func TestFallback(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"style.css": "a{}", "sub/index.html": "sub", "secret.php": "<?php", ".env": "secret"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			w.WriteHeader(404)
		}
		io.WriteString(w, "app "+r.Method+" "+r.URL.Path+" for "+r.Header.Get("X-Forwarded-For"))
	})
	p, log := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  files: {files: {root: `+dir+`}}
  tried: {files: {root: `+dir+`, try: ["{path}"]}}
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
  down: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - {match: {paths: [/t/*]}, strip_prefix: /t, backend: tried, fallback: api, compress: true}
  - {match: {paths: [/down/*]}, strip_prefix: /down, backend: files, fallback: down}
  - {backend: files, fallback: api, headers: {response: {set: {X-Site: "1"}}}}
`))
	for _, c := range []struct {
		request string
		status  int
		words   string // of the response, with | between them
		asked   bool   // the application is
	}{
		{"GET /style.css", 200, "a{}|X-Site: 1", false},
		{"GET /page", 200, "app GET /page for 127.0.0.1|X-Site: 1", true},
		{"HEAD /page", 200, "", true},
		{"GET /none", 404, "app GET /none", true},
		{"GET /sub/", 200, "sub", false},
		{"GET /", 200, "app GET /", true}, // a folder without an index
		{"GET /.env", 200, "app GET /.env", true},
		{"GET /secret.php", 200, "app GET /secret.php", true},
		{"POST /style.css", 200, "app POST /style.css", true},
		{"POST /page", 200, "app POST /page", true},
		{"GET /t/style.css", 200, "a{}", false},
		{"GET /t/sub/", 200, "app GET /sub/", true},
		{"GET /t/page", 200, "app GET /page", true},
		{"GET /down/style.css", 200, "a{}", false},
		{"GET /down/page", 503, "503 Service Unavailable", false},
	} {
		for _, way := range allWays {
			method, _, _ := strings.Cut(c.request, " ")
			rest := "\r\n"
			if method == "POST" {
				rest = "Content-Length: 3\r\n\r\nabc"
			}
			response := way.send(t, p, c.request+" HTTP/1.1\r\nHost: example.org\r\n"+rest)
			if response == nil {
				t.Errorf("%s over %s: no response", c.request, way.name)
				continue
			}
			if resp, _ := parseResponse(t, response, method); resp.StatusCode != c.status || resp.Header["Allow"] != nil {
				t.Errorf("%s over %s: %.200q, want %d", c.request, way.name, response, c.status)
			}
			for word := range strings.SplitSeq(c.words, "|") {
				if !strings.Contains(string(response), word) {
					t.Errorf("%s over %s: %.200q, want %s", c.request, way.name, response, word)
				}
			}
			if saw := rec.take(); len(saw) == 1 != c.asked || method == "POST" && saw[0].body != "abc" {
				t.Errorf("%s over %s: the application saw %q", c.request, way.name, saw)
			}
		}
	}
	awaitLog(t, log, `"backend":"api"`)
}

// TestBackupUpstream has requests go to a backup while the server beside it is down.
func TestBackupUpstream(t *testing.T) {
	main, backup := newRecorder(t, nil), newRecorder(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "backup") })
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+main.URL+`}, {url: `+backup.URL+`, backup: true, weight: 100}]}}
routes:
  - backend: api
`))
	get := func() string {
		_, body := parseResponse(t, sendWeb(t, p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET")
		return body
	}
	for range 5 {
		if body := get(); body == "backup" {
			t.Error("the backup gets a request while the other server is up")
		}
	}
	if ups := p.Status().Backends[0].Upstreams; ups[0].Backup || !ups[1].Backup || !ups[1].Up {
		t.Errorf("the status is %+v", ups)
	}
	main.Close()
	for range 5 {
		if body := get(); body != "backup" {
			t.Errorf("while the other server is down: %q", body)
		}
	}
}
