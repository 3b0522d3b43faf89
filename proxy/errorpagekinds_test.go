//go:build linux

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorPagesByEachKind has a backend of each kind make pages, for mkd's own errors and,
// while its only worker responds with an error, for that. The page of a page that fails is
// mkd's own text, and what isn't an error stays.
func TestErrorPagesByEachKind(t *testing.T) {
	const script = `
		$path = strtok($_SERVER['REQUEST_URI'], '?');
		$path = preg_replace('~^/\w+/own~', '', $path);
		if ($path === '/errors/404') $page = '<p>made by PHP for ' . $_SERVER['HTTP_HOST'] . ($_SERVER['HTTP_COOKIE'] ?? '');
		elseif ($path === '/304') { $status = 304; $page = ''; $tag = '"x"'; }
		elseif ($path === '/206') { $status = 206; $page = 'a'; $range = 'bytes 0-0/2'; }
		elseif ($path === '/ok') $page = 'ok';
		elseif (str_starts_with($path, '/fail') || $path === '/errors/500') { $status = 500; $page = str_repeat('its own text ', 10000); }
		else { $status = 404; $page = 'its own text'; }`
	worker := onHTTP(t, `
$ARCANGELO_USERSPACE = ['on_http' => function (arca\Request $r) {`+script+`
	return new arca\Response($page, $status ?? 200, array_filter(['Content-Type' => 'text/html', 'ETag' => $tag ?? '', 'Content-Range' => $range ?? '', 'X-Own' => 'y']));
}];`)
	f := startFPM(t, 1, map[string]string{"index.php": "<?php" + script + `
		http_response_code($status ?? 200);
		header('X-Own: y');
		if (isset($tag)) header("ETag: $tag");
		if (isset($range)) header("Content-Range: $range");
		echo $page;`})
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Own", "y")
		switch path := strings.TrimPrefix(r.URL.Path, "/http/own"); path {
		case "/errors/404":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<p>made by HTTP for "+r.Host+r.Header.Get("Cookie"))
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/206":
			w.Header().Set("Content-Range", "bytes 0-0/2")
			w.WriteHeader(206)
			io.WriteString(w, "a")
		case "/ok":
			io.WriteString(w, "ok")
		case "/416":
			w.Header().Set("Content-Range", "bytes */2")
			w.WriteHeader(416)
		case "/fail", "/errors/500":
			w.WriteHeader(500)
			io.WriteString(w, strings.Repeat("its own text ", 10_000))
		default:
			w.WriteHeader(404)
			io.WriteString(w, "its own text")
		}
	})
	files := t.TempDir()
	for name, text := range map[string]string{"errors/404": "<p>made of a file", "ok": "ok"} {
		path := filepath.Join(files, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var routes strings.Builder
	for _, kind := range []string{"worker", "fpm", "http", "files"} {
		pages := "pages: {404: /errors/404, 416: /errors/404, 5xx: /errors/500}, backend: " + kind
		fmt.Fprintf(&routes, "  - {match: {paths: [/%[1]s/own/*]}, strip_prefix: /%[1]s/own, error_pages: {%[2]s, intercept: true}, backend: %[1]s}\n", kind, pages)
		fmt.Fprintf(&routes, "  - {match: {paths: [/%[1]s/mkd/*]}, error_pages: {%[2]s}, routes: [{match: {paths: [/%[1]s/mkd/500]}, backend: down}, {match: {paths: [/none]}, backend: %[1]s}]}\n", kind, pages)
	}
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  worker: {php: {script: `+worker+`, workers: {min: 1, max: 1}}}
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, try: ["{path}", /index.php]}}
  http: {http: {upstreams: [{url: `+rec.URL+`}], max_connections: 1}}
  files: {files: {root: `+files+`}}
  down: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
`+routes.String()))
	made := map[string]string{"worker": "<p>made by PHP for localhost", "fpm": "<p>made by PHP for localhost", "http": "<p>made by HTTP for localhost", "files": "<p>made of a file"}
	for kind, page := range made {
		for _, c := range []struct {
			request, fields string
			status          int
			field, body     string
		}{
			{"GET /own/missing", "", 404, "", page},
			{"HEAD /own/missing", "", 404, fmt.Sprintf("Content-Length: %d", len(page)), ""},
			{"GET /mkd/missing", "", 404, "", page},
			{"HEAD /mkd/missing", "", 404, fmt.Sprintf("Content-Length: %d", len(page)), ""},
			{"GET /own/ok", "", 200, "", "ok"},
			{"GET /own/fail", "", 500, "", "500 Internal Server Error\n"},
			{"GET /mkd/500", "", 503, "", "503 Service Unavailable\n"},
			{"GET /own/304", "", 304, `Etag: "x"`, ""},
			{"GET /own/206", "", 206, "Content-Range: bytes 0-0/2", "a"},
			{"GET /own/416", "", 416, "Content-Range: bytes */2", page},
			{"GET /own/ok", "Range: bytes=9-\r\n", 416, "Content-Range: bytes */2", page},
			{"GET /own/ok", "Range: bytes=1-\r\n", 206, "Content-Range: bytes 1-1/2", "k"},
		} {
			onlyFiles, notFiles, onlyHTTP := c.fields != "", c.status == 500 || c.status == 304 || c.body == "a", c.request == "GET /own/416"
			if onlyFiles && kind != "files" || notFiles && kind == "files" || onlyHTTP && kind != "http" {
				continue
			}
			for _, way := range allWays {
				method, path, _ := strings.Cut(c.request, " ")
				response := way.send(t, p, method+" /"+kind+path+" HTTP/1.1\r\nHost: example.org\r\nCookie: a=b\r\n"+c.fields+"\r\n")
				if response == nil {
					t.Errorf("%s of %s over %s: no response", c.request, kind, way.name)
					continue
				}
				resp, body := parseResponse(t, response, method)
				if strings.HasPrefix(way.name, "HTTP/") {
					c.field = strings.TrimPrefix(c.field, "Content-Length: "+fmt.Sprint(len(page))) // the tests' clients write their own
				}
				if resp.StatusCode != c.status || body != c.body || !strings.Contains(strings.ToLower(string(response)), strings.ToLower(c.field)) {
					t.Errorf("%s of %s over %s: %.300q, want %d with %q and %q", c.request, kind, way.name, response, c.status, c.field, c.body)
				}
				if kept := resp.Header.Get("X-Own") != ""; kept != (c.status < 400 && kind != "files") {
					t.Errorf("%s of %s over %s: %.300q", c.request, kind, way.name, response)
				}
			}
		}
	}
}
