package proxy

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesTry serves a single-page app, with files that were compressed before and
// a folder that is listed, through all listeners.
func TestFilesTry(t *testing.T) {
	root := filesOf(t, map[string]string{"index.html": "the app", "app.js": "script", "app.js.br": "brotli", "x.php": "<?php secret"})
	p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  spa: {files: {root: `+root+`, try: ["{path}", /index.html], precompressed: [br]}}
  list: {files: {root: `+root+`, index: [none.html], try: ["{path}", "{path}/"], browse: true}}
routes:
  - {match: {paths: [/list/*]}, strip_prefix: /list, backend: list}
  - backend: spa
`))
	for _, c := range []struct {
		request string
		status  int
		want    string
	}{
		{"GET /", 200, "the app"},
		{"GET /some/page", 200, "the app"},
		{"GET /app.js", 200, "brotli"},
		{"GET /x.php", 200, "the app"},
		{"GET /.env", 200, "the app"},
		{"POST /some/page", 405, "405 Method Not Allowed\n"},
		{"GET /list/app.js", 200, "script"},
		{"GET /list/x.php", 404, "404 Not Found\n"},
		{"GET /list/none", 404, "404 Not Found\n"},
		{"DELETE /list/app.js", 405, "405 Method Not Allowed\n"},
	} {
		for _, way := range ways {
			response := way.send(t, p, c.request+" HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br\r\n\r\n")
			method, _, _ := strings.Cut(c.request, " ")
			resp, body := parseResponse(t, response, method)
			if resp.StatusCode != c.status || body != c.want {
				t.Errorf("%s %s: %d, %q", way.name, c.request, resp.StatusCode, body)
			}
			if c.status == http.StatusMethodNotAllowed && resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %v", way.name, c.request, resp.Header)
			}
		}
	}
	for _, way := range ways {
		_, page := parseResponse(t, way.send(t, p, "GET /list/ HTTP/1.1\r\nHost: x\r\n\r\n"), "GET")
		if !strings.Contains(page, "<h1>/list/</h1>") || !strings.Contains(page, `<a href="./app.js">`) || strings.Contains(page, "x.php") {
			t.Errorf("%s:\n%s", way.name, page)
		}
	}
}

// TestFolderRedirects: the slash of a folder is added to the path that the client asked for,
// whatever the route has made of it, and relative links of a folder's page work.
func TestFolderRedirects(t *testing.T) {
	root := filesOf(t, map[string]string{"index.html": "top"})
	for _, dir := range []string{"public/docs", "a b", "list"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if dir != "list" {
			if err := os.WriteFile(filepath.Join(root, dir, "index.html"), []byte(dir), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, _ := start(t, load(t, strings.ReplaceAll(`
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
backends:
  site: {files: {root: ROOT, browse: true}}
  tried: {files: {root: ROOT, browse: true, try: ["{path}", "{path}/"]}}
  fpm: {fastcgi: {root: ROOT, addresses: ["127.0.0.1:1"]}}
routes:
  - {match: {paths: [/s/*]}, strip_prefix: /s, backend: site}
  - {match: {paths: [/t/*]}, strip_prefix: /t, backend: tried}
  - {match: {paths: [/ps/*]}, strip_prefix: /ps, rewrite: {add_prefix: /public}, backend: site}
  - {match: {paths: [/pt/*]}, strip_prefix: /pt, rewrite: {add_prefix: /public}, backend: tried}
  - {match: {paths: [/pf/*]}, strip_prefix: /pf, rewrite: {add_prefix: /public}, backend: fpm}
  - {match: {paths: [/r/*]}, rewrite: {regexp: ^/r/(.*)$, to: "/public/{re.1}", query: "x=1&{query}"}, backend: site}
  - {match: {paths: [/help]}, rewrite: {path: /public/docs}, backend: site}
  - {match: {paths: [/top]}, rewrite: {path: /}, backend: site}
  - {match: {paths: [/l/*]}, strip_prefix: /l, rewrite: {add_prefix: /list}, backend: site}
  - {backend: site}
`, "ROOT", root)))
	for _, c := range []struct {
		target, location string // "": none
		body             string
	}{
		{"/public/docs?a=b", "/public/docs/?a=b", ""},
		{"/s/public/docs?a=b", "/s/public/docs/?a=b", ""},
		{"/s/a%20b", "/s/a%20b/", ""},
		{"/s?a", "/s/?a", ""},
		{"/s/", "", "top"},
		{"/t/public/docs", "/t/public/docs/", ""},
		{"/t", "/t/", ""},
		{"/t/", "", "top"},
		{"/ps/docs?a=b", "/ps/docs/?a=b", ""},
		{"/ps/docs/", "", "public/docs"},
		{"/pt/docs", "/pt/docs/", ""},
		{"/pf/docs", "/pf/docs/", ""},
		{"/r/docs?a=b", "/r/docs/?a=b", ""},
		{"/help", "/public/docs/", ""}, // there is no other page of it
		{"/top", "", "top"},            // as it is rewritten
		{"/l/", "", "<h1>/l/</h1>"},
	} {
		for _, way := range ways {
			resp, body := parseResponse(t, way.send(t, p, "GET "+c.target+" HTTP/1.1\r\nHost: x\r\n\r\n"), "GET")
			if got := resp.Header.Get("Location"); got != c.location || !strings.Contains(body, c.body) || (resp.StatusCode == 301) != (c.location != "") {
				t.Errorf("%s %s: %d to %q, %q; want %q, %q", way.name, c.target, resp.StatusCode, got, body, c.location, c.body)
			}
		}
	}
}
