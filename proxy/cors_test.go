package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestCORS: only pages of the origins that are listed may read responses, errors among
// them, and preflight requests pass guards.
func TestCORS(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://upstream.example")
		w.Header().Set("Access-Control-Allow-Private-Network", "true")
		io.WriteString(w, "ok")
	})
	p, _ := everyListener(t, rec.URL, `
  - match: {paths: [/api/*]}
    cors: {origins: ["https://app.example.org", "https://*.test.example"], methods: [GET, PUT], headers: [X-A], expose: [X-B], credentials: true, max_age: 60s}
    headers: {response: {set: {X-Path: "{path}"}}}
    routes:
      - {match: {paths: [/api/in]}, auth: {basic: {users_file: `+usersFile(t, "ann")+`}}, backend: api}
      - {backend: api}
  - {match: {paths: [/open]}, cors: {origins: ["*"]}, backend: api}
  - {backend: api}
`)
	const asks = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a\r\n"
	for _, c := range []struct {
		line, fields string
		status       int
		origin       string // that may read it
		words        string // of the response, with | between them
	}{
		{"GET /api/x", "Origin: https://app.example.org\r\n", 200, "https://app.example.org", "Access-Control-Allow-Credentials: true|Access-Control-Expose-Headers: X-B|Vary: Origin|X-Path: /api/x"},
		{"GET /api/x", "Origin: https://a.b.test.example\r\n", 200, "https://a.b.test.example", ""},
		{"GET /api/x", "Origin: https://test.example\r\n", 200, "", "Vary: Origin"},
		{"GET /api/x", "Origin: https://eviltest.example\r\n", 200, "", ""},
		{"GET /api/x", "Origin: https://evil.example/.test.example\r\n", 200, "", ""},
		{"GET /api/x", "Origin: https://app.example.org.evil.example\r\n", 200, "", ""},
		{"GET /api/x", "Origin: http://app.example.org\r\n", 200, "", ""},
		{"GET /api/x", "Origin: null\r\n", 200, "", ""},
		{"GET /api/x", "", 200, "", "Vary: Origin"},
		{"GET /api/in", "Origin: https://app.example.org\r\n", 401, "https://app.example.org", "Basic"},
		{"GET /api/in", "Origin: https://app.example.org\r\n" + basicAs("ann", "ANN"), 200, "https://app.example.org", "X-Path: /api/in"},
		{"OPTIONS /api/in", "Origin: https://app.example.org\r\n" + asks, 204, "https://app.example.org", "Access-Control-Allow-Methods: GET, PUT|Access-Control-Allow-Headers: X-A|Access-Control-Max-Age: 60"},
		{"OPTIONS /api/in", "Origin: https://evil.example\r\n" + asks, 204, "", ""},
		{"OPTIONS /api/in", "", 401, "", ""},
		{"GET /open", "Origin: https://anybody.example\r\n", 200, "*", ""},
		{"GET /open", "", 200, "*", ""}, // a cache may keep it for a page
		{"OPTIONS /open", "Origin: https://anybody.example\r\n" + asks, 204, "*", "Access-Control-Allow-Methods: GET"},
		{"GET /other", "Origin: https://app.example.org\r\n", 200, "https://upstream.example", ""},
	} {
		for _, way := range allWays {
			response := string(way.send(t, p, c.line+" HTTP/1.1\r\nHost: example.org\r\n"+c.fields+"\r\n"))
			if response == "" || status(t, []byte(response)) != c.status {
				t.Errorf("%s with %q over %s: %q, want %d", c.line, c.fields, way.name, response, c.status)
				continue
			}
			_, after, given := strings.Cut(response, "Access-Control-Allow-Origin: ")
			origin, _, _ := strings.Cut(after, "\r\n")
			if origin != c.origin || given != (c.origin != "") || strings.Contains(after, "Access-Control-Allow-Origin") ||
				c.origin != "https://upstream.example" && strings.Contains(response, "Private-Network") {
				t.Errorf("%s with %q over %s: %q may read it, want %q", c.line, c.fields, way.name, origin, c.origin)
			}
			for word := range strings.SplitSeq(c.words, "|") {
				if !strings.Contains(response, word) {
					t.Errorf("%s with %q over %s: %q, want %s", c.line, c.fields, way.name, response, word)
				}
			}
		}
	}
}

// TestRateLimitByHeader: each value of a field has its own limit, and requests without it
// have that of their address.
func TestRateLimitByHeader(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, "  - {rate_limit: {rate: 0.001, burst: 2, by: header, header: x-api-key}, backend: api}\n")
	for i, c := range []struct {
		fields string
		status int
	}{
		{"X-Api-Key: a\r\n", 200}, {"X-Api-Key: a\r\n", 200}, {"X-Api-Key: a\r\n", 429},
		{"X-Api-Key: b\r\n", 200}, {"", 200}, {"", 200}, {"", 429}, {"X-Api-Key: b\r\n", 200}, {"X-Api-Key: b\r\n", 429},
	} {
		way := allWays[i%len(allWays)]
		if response := way.send(t, p, "GET / HTTP/1.1\r\nHost: a\r\n"+c.fields+"\r\n"); response == nil || status(t, response) != c.status {
			t.Errorf("request %d over %s: %q, want %d", i, way.name, response, c.status)
		}
	}
}
