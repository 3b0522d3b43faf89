package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRewritesThroughAllListeners: rewrites, placeholders and pages do the same,
// however a request arrives.
func TestRewritesThroughAllListeners(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(page, []byte("<p>{host}"), 0o644); err != nil {
		t.Fatal(err)
	}
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, `
  - match: {path_regexp: '^/u/(?P<name>[^/]+)$'}
    rewrite: {path: '/users/{re.name}', query: 'by={client_ip}&{query}'}
    headers: {request: {set: {X-User: '{re.name}', X-Was: '{uri}'}}, response: {set: {X-Host: '{host}', X-Asked: '{path}'}}}
    backend: api
  - {match: {paths: [/json]}, respond: {body: '{"a": "{header.X-A}", "b": {}}', content_type: application/json, status: 203}}
  - {match: {paths: [/page]}, respond: {file: `+page+`, status: 410}}
  - {match: {paths: [/go]}, redirect: {to: 'https://{host}/new?next={uri}'}}
  - {match: {paths: [/moved]}, redirect: {to: '/there?{query}'}}
  - {backend: api}
`)
	for _, c := range []struct {
		request, response string // all of these words, with | between them
		line, headers     string // what the upstream sees
	}{
		{"GET /u/ann%20b?x=1", "X-Host: example.org|X-Asked: /u/ann%20b", "GET /users/ann%20b?by=127.0.0.1&x=1", "X-User: ann%20b\nX-Was: /u/ann%20b?x=1\n"},
		{"GET /u/%7Bhost%7D", "X-Asked: /u/%7Bhost%7D", "GET /users/%7Bhost%7D?by=127.0.0.1", "X-User: %7Bhost%7D\n"},
		{"GET /json", "203|Content-Type: application/json|" + `{"a": "\"{path}", "b": {}}`, "", ""},
		{"GET /page", "410|Content-Type: text/html|<p>{host}", "", ""},
		{"GET /moved?a", "Location: /there?a\r\n", "", ""},
		{"GET /moved", "Location: /there\r\n", "", ""},
		{"GET /go?a=b&c", "Location: https://example.org/new?next=%2Fgo%3Fa%3Db%26c", "", ""},
	} {
		for _, way := range allWays {
			response := string(way.send(t, p, c.request+" HTTP/1.1\r\nHost: example.org\r\nX-A: \"{path}\r\n\r\n"))
			for word := range strings.SplitSeq(c.response, "|") {
				if !strings.Contains(response, word) {
					t.Errorf("%s over %s: %q, want %s", c.request, way.name, response, word)
				}
			}
			saw := rec.take()
			if c.line == "" && len(saw) == 0 {
				continue
			}
			if len(saw) != 1 || saw[0].line != c.line || !strings.Contains(saw[0].headers, c.headers) {
				t.Errorf("%s over %s: the upstream saw %q, want %q with %q", c.request, way.name, saw, c.line, c.headers)
			}
		}
	}
	if err := os.WriteFile(page, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if response := sendWeb(t, p, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.Contains(string(response), "changed") {
		t.Errorf("a page that changed is %q", response)
	}
}

// TestRespondWithoutBody: a status that has no body gets none, and no length of one.
func TestRespondWithoutBody(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, `
  - {match: {paths: [/204]}, respond: {status: 204}}
  - {match: {paths: [/205]}, respond: {status: 205}}
  - {match: {paths: [/304]}, respond: {status: 304}}
`)
	for target, want := range map[string]string{"/204": "", "/205": "0", "/304": ""} {
		for _, way := range allWays {
			response := way.send(t, p, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, body := parseResponse(t, response, "GET")
			if body != "" || resp.Header.Get("Content-Length") != want || want == "" && resp.Header["Content-Type"] != nil {
				t.Errorf("%s over %s: %q", target, way.name, response)
			}
		}
	}
}
