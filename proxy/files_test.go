package proxy

import (
	"net/http"
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
