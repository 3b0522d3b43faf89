package proxy

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// TestLimits: max_body, rate_limit and their responses.
func TestLimits(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, `
  - {match: {paths: [/small]}, max_body: 10B, backend: api}
  - {match: {paths: [/rare]}, rate_limit: {rate: 0.001, burst: 2}, backend: api}
  - {match: {paths: [/session]}, rate_limit: {rate: 0.001, by: session}, backend: api}
`)
	const h = " HTTP/1.1\r\nHost: x\r\n"
	for _, way := range ways {
		for request, want := range map[string]int{
			"POST /small" + h + "Content-Length: 10\r\n\r\n0123456789":                            200,
			"POST /small" + h + "Content-Length: 11\r\n\r\n0123456789a":                           413,
			"POST /small" + h + "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n0\r\n\r\n":        200,
			"POST /small" + h + "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n": 413,
		} {
			response := way.send(t, p, request)
			if resp, _ := parseResponse(t, response, "POST"); resp.StatusCode != want {
				t.Errorf("%s %q: %q", way.name, request, response)
			}
		}
	}
	for i, want := range []int{200, 200, 429} { // both listeners share the limit
		response := ways[i%2].send(t, p, "GET /rare"+h+"\r\n")
		resp, _ := parseResponse(t, response, "GET")
		if resp.StatusCode != want || (want == 429) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("request %d: %q", i, response)
		}
	}
	for range 2 { // each client of the test has a session of its own
		if response := ways[0].send(t, p, "GET /session"+h+"\r\n"); !bytes.HasPrefix(response, []byte("HTTP/1.1 200 ")) {
			t.Errorf("a new session: %q", response)
		}
	}
}

// TestRawRequests makes HTTP requests of raw messages.
func TestRawRequests(t *testing.T) {
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/raw":
			io.WriteString(w, "answer")
		case "/raw/none":
			w.WriteHeader(204)
		default:
			w.WriteHeader(404)
		}
	})
	for _, c := range []struct {
		route, want string
		line        string
		closes      bool
	}{
		{"{raw: {method: PUT, path: '/raw?a=b', content_type: text/x}, backend: api}", "answer", "PUT /raw?a=b", false},
		{"{raw: {path: /raw/none}, backend: api}", "", "POST /raw/none", false},
		{"{match: {payload: raw}, backend: api}", "", "POST /", true},
		{"{match: {payload: raw}, respond: {body: fixed}}", "fixed", "", false},
		{"{backend: api}", "", "", true}, // a raw message goes only to a route that names them
	} {
		p, _ := start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - `+c.route+"\n"))
		got, err := client(t, p, "app").Send(t.Context(), []byte("\x00raw"))
		if (err != nil) != c.closes || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.route, got, err)
		}
		saw := rec.take()
		if c.line == "" && len(saw) > 0 || c.line != "" && (len(saw) != 1 || saw[0].line != c.line || saw[0].body != "\x00raw") {
			t.Errorf("%s: the upstream saw %q", c.route, saw)
		}
	}
}
