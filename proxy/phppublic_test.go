package proxy

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFilesBesideWorkers: files of public are served as files, all else by a worker.
func TestFilesBesideWorkers(t *testing.T) {
	public := filepath.Join(t.TempDir(), "public")
	for name, content := range map[string]string{
		"style.css": "a{}", "a/index.html": "index of a", "index.php": "<?php secret", ".env": "secret", "page.html": "a page", "b/x.txt": "x",
	} {
		path := filepath.Join(public, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := onHTTP(t, `$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => 'worker: ' . $r->method . ' ' . $r->target];`)
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {php: {script: `+script+`, workers: {min: 1, max: 1}, public: `+public+`}}
  more: {php: {script: `+script+`, workers: {min: 1, max: 1}, public: `+public+`, try: ["{path}", "{path}/", "{path}.html", "{path}/x.txt", worker]}}
routes:
  - {match: {paths: [/more/*]}, strip_prefix: /more, backend: more}
  - backend: site
`))
	for _, c := range []struct {
		request string
		status  int
		want    string
	}{
		{"GET /style.css", 200, "a{}"},
		{"GET /style.css?v=1", 200, "a{}"},
		{"POST /style.css", 200, "worker: POST /style.css"},
		{"GET /", 200, "worker: GET /"},
		{"GET /a", 200, "worker: GET /a"},
		{"GET /a/", 200, "worker: GET /a/"},
		{"GET /a/index.html", 200, "index of a"},
		{"GET /index.php", 200, "worker: GET /index.php"},
		{"GET /.env", 200, "worker: GET /.env"},
		{"GET /none?x=1", 200, "worker: GET /none?x=1"},
		{"GET /%2e%2e/%2e%2e/etc/passwd", 400, ""},
		{"GET /style%2Fcss", 200, "worker: GET /style%2Fcss"},
		{"GET /more/a/", 200, "index of a"},
		{"GET /more/a", 301, ""},
		{"GET /more/page", 200, "a page"},
		{"GET /more/b", 200, "x"},
		{"GET /more/none", 200, "worker: GET /none"},
	} {
		for _, way := range ways {
			response := way.send(t, p, c.request+" HTTP/1.1\r\nHost: example.org\r\n\r\n")
			resp, body := parseResponse(t, response, "GET")
			if resp.StatusCode != c.status || c.want != "" && body != c.want {
				t.Errorf("%s %s: %d %q", way.name, c.request, resp.StatusCode, body)
			}
			if c.status == 301 && resp.Header.Get("Location") != "/more/a/" {
				t.Errorf("%s %s: to %q", way.name, c.request, resp.Header.Get("Location"))
			}
			if strings.HasSuffix(c.request, "/style.css") && c.status == 200 && !strings.HasPrefix(body, "worker") && resp.Header.Get("Etag") == "" {
				t.Errorf("%s %s: no ETag", way.name, c.request)
			}
		}
	}
}

// TestRequestsInFlight: a route has so many requests in flight, and others aren't
// concerned. Two routes of one script keep its workers apart.
func TestRequestsInFlight(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	script := onHTTP(t, `$ARCANGELO_USERSPACE = ['on_http' => function ($r) {
		for ($i = 0; $r->path === '/slow' && $i < 20000 && !file_exists('`+open+`'); $i++) { usleep(1000); clearstatcache(); }
		return $r->path;
	}];`)
	p, _ := start(t, load(t, `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
backends: {site: {php: {script: `+script+`, workers: {min: 3, max: 3}}}}
routes:
  - {match: {paths: [/slow]}, max_in_flight: 2, backend: site}
  - backend: site
`))
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + p.Addr("web").String() + path)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	statuses := make(chan int, 3)
	for range 3 {
		go func() {
			status, _ := get("/slow")
			statuses <- status
		}()
	}
	if status := <-statuses; status != 503 { // the two others wait
		t.Errorf("the third request: %d", status)
	}
	if status, after := get("/slow"); status != 503 || after == "" {
		t.Errorf("a further request: %d, Retry-After %q", status, after)
	}
	if status, _ := get("/quick"); status != 200 {
		t.Errorf("another route: %d", status)
	}
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status := <-statuses; status != 200 {
			t.Errorf("a slow request: %d", status)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if status, _ := get("/slow"); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the route's requests have ended, but it takes no more")
		}
	}
}
