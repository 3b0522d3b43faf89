package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSameThroughBothListeners compares what an upstream sees of a request that
// comes by Megaki and by HTTP. The documented differences are the session, the
// protocol that is reported, and chunks: a message's are joined.
func TestSameThroughBothListeners(t *testing.T) {
	rec := newRecorder(t, nil)
	p := bothListeners(t, rec.URL, `
  - {match: {paths: [/v1/*]}, strip_prefix: /v1, backend: api}
  - match: {hosts: [other.example.org, "*.deep.example.org"]}
    headers: {request: {set: {X-Set: a, Host: inner.example}, add: {Accept: added/type}, remove: [Cookie]}, response: {set: {X-Out: b}, remove: [Server]}}
    backend: api
  - {match: {headers: {X-Api-Key: secret}}, respond: {status: 202, body: by header}}
  - {match: {methods: [PROPFIND]}, redirect: {to: "https://{host}{uri}", status: 308}}
  - {match: {paths: [/exact, "*.php"]}, respond: {status: 403}}
`)
	const h = " HTTP/1.1\r\nHost: example.org\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		line          string // what the upstream sees; "": nothing
		host          string
		headers, body string
		response      string // contained in the response
	}{
		{name: "simple", request: "GET /" + h + "\r\n", status: 200, line: "GET /", response: "\r\n\r\nok"},
		{name: "query", request: "GET /a?b=c%20d&e" + h + "\r\n", status: 200, line: "GET /a?b=c%20d&e"},
		{name: "head", request: "HEAD /" + h + "\r\n", status: 200, line: "HEAD /", response: "Content-Length: 2\r\n"},
		{name: "post", request: "POST /" + h + "Content-Length: 4\r\n\r\nbody", status: 200, line: "POST /", headers: "Content-Length: 4\n", body: "body"},
		{name: "empty post", request: "POST /" + h + "Content-Length: 0\r\n\r\n", status: 200, line: "POST /", headers: "Content-Length: 0\n"},
		{name: "put", request: "PUT /x" + h + "Content-Length: 4\r\n\r\nbody", status: 200, line: "PUT /x", headers: "Content-Length: 4\n", body: "body"},
		{name: "fields", request: "GET /" + h + "Cookie: a=b\r\nCookie: c=d\r\nAccept: x/y\r\nUser-Agent: test\r\n\r\n", status: 200, line: "GET /",
			headers: "Accept: x/y\nCookie: a=b\nCookie: c=d\nUser-Agent: test\n"},
		{name: "path in one form", request: "GET //a/./b/../%7Euser/%2e%2E/c%2fd" + h + "\r\n", status: 200, line: "GET /a/c%2Fd"},
		{name: "climbing", request: "GET /../etc" + h + "\r\n", status: 400},
		{name: "NUL", request: "GET /a%00b" + h + "\r\n", status: 400},
		{name: "broken escape", request: "GET /%zz" + h + "\r\n", status: 400},
		{name: "absolute form", request: "GET http://example.org/a?b" + h + "\r\n", status: 200, line: "GET /a?b"},
		{name: "strip prefix", request: "GET /v1/users%2F1?x" + h + "\r\n", status: 200, line: "GET /users%2F1?x"},
		{name: "strip prefix alone", request: "GET /v1/" + h + "\r\n", status: 200, line: "GET /"},
		{name: "no prefix", request: "GET /v1x" + h + "\r\n", status: 200, line: "GET /v1x"},
		{name: "changes", request: "GET / HTTP/1.1\r\nHost: OTHER.example.org.:8080\r\nCookie: a\r\nAccept: x/y\r\n\r\n", status: 200, line: "GET /", host: "inner.example",
			headers: "Accept: x/y\nAccept: added/type\nX-Set: a\n", response: "X-Out: b\r\n"},
		{name: "below a host", request: "GET / HTTP/1.1\r\nHost: a.b.deep.example.org\r\n\r\n", status: 200, line: "GET /", host: "inner.example",
			headers: "Accept: added/type\nX-Set: a\n"},
		{name: "not below", request: "GET / HTTP/1.1\r\nHost: deep.example.org\r\n\r\n", status: 200, line: "GET /", host: "deep.example.org"},
		{name: "by header", request: "GET /" + h + "X-Api-Key: secret\r\n\r\n", status: 202, response: "by header"},
		{name: "other header", request: "GET /" + h + "X-Api-Key: wrong\r\n\r\n", status: 200, line: "GET /", headers: "X-Api-Key: wrong\n"},
		{name: "redirect", request: "PROPFIND /a%20b?c" + h + "\r\n", status: 308, response: "Location: https://example.org/a%20b?c\r\n"},
		{name: "exact", request: "GET /exact" + h + "\r\n", status: 403, response: "403 Forbidden"},
		{name: "suffix", request: "GET /x/y.php" + h + "\r\n", status: 403},
		{name: "hidden suffix", request: "GET /x/y.%70hp" + h + "\r\n", status: 403},
		{name: "upper case of a guard", request: "GET /EXACT" + h + "\r\n", status: 403},
		{name: "upper case", request: "GET /V1/users" + h + "\r\n", status: 200, line: "GET /V1/users"},
		{name: "the folder itself", request: "GET /v1" + h + "\r\n", status: 200, line: "GET /"},
		{name: "hop by hop", request: "GET /" + h + "Keep-Alive: 1\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nConnection: X-Own, keep-alive\r\nX-Own: 1\r\nX-Kept: 2\r\n\r\n",
			status: 200, line: "GET /", headers: "X-Kept: 2\n"},
		{name: "forged", request: "GET /" + h + "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Megaki-Session: 00\r\nX-Megaki-Admin: 1\r\n\r\n",
			status: 200, line: "GET /"},
		{name: "HTTP/1.0", request: "GET /old HTTP/1.0\r\nHost: example.org\r\n\r\n", status: 200, line: "GET /old"},
	} {
		for _, way := range ways {
			t.Run(c.name+" "+way.name, func(t *testing.T) {
				response := way.send(t, p, c.request)
				if response == nil {
					t.Fatal("no answer")
				}
				method, _, _ := strings.Cut(c.request, " ")
				if resp, _ := parseResponse(t, response, method); resp.StatusCode != c.status {
					t.Errorf("status %d, want %d: %q", resp.StatusCode, c.status, response)
				}
				if !bytes.Contains(response, []byte(c.response)) {
					t.Errorf("%q is missing in %q", c.response, response)
				}
				saw := rec.take()
				if c.line == "" {
					if len(saw) > 0 {
						t.Errorf("the upstream saw %q", saw)
					}
					return
				}
				if len(saw) != 1 {
					t.Fatalf("the upstream saw %q", saw)
				}
				host, forwardedHost := c.host, "example.org"
				if host == "" {
					host = "example.org"
				}
				if _, after, ok := strings.Cut(c.request, "Host: "); ok {
					forwardedHost, _, _ = strings.Cut(after, "\r\n")
				}
				proto := "http"
				headers := c.headers + "X-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: " + forwardedHost + "\n"
				if way.name == "app" {
					proto = "https"
				}
				headers += "X-Forwarded-Proto: " + proto + "\n"
				got := saw[0]
				session := ""
				lines := strings.Split(got.headers, "\n")
				lines = slices.DeleteFunc(lines, func(l string) bool {
					if s, ok := strings.CutPrefix(l, "X-Megaki-Session: "); ok {
						session = s
						return true
					}
					return strings.HasPrefix(l, "X-Megaki-Key: ")
				})
				if (way.name == "app") != (len(session) == 32) {
					t.Errorf("the session is told as %q", session)
				}
				if len(got.id) != 32 {
					t.Errorf("the request's id is %q", got.id)
				}
				want := strings.Split(headers, "\n")
				slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
				slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(fieldName(a), fieldName(b)) })
				if !slices.Equal(lines, want) {
					t.Errorf("header %q\nwant   %q", lines, want)
				}
				if got.line != c.line || got.host != host || got.body != c.body {
					t.Errorf("%q %q %q, want %q %q %q", got.line, got.host, got.body, c.line, host, c.body)
				}
			})
		}
	}
}

func fieldName(line string) string { name, _, _ := strings.Cut(line, ":"); return name }

// TestResponses: an upstream responds in all ways that matter to framing.
func TestResponses(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/103":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(103)
			io.WriteString(w, "after hints")
		case "/chunked":
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			io.WriteString(w, "second")
		case "/hop":
			w.Header().Set("Connection", "X-Own")
			w.Header().Set("X-Own", "1")
			w.Header().Set("Keep-Alive", "timeout=5")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Add("Set-Cookie", "c=d")
			io.WriteString(w, "hop")
		case "/long":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
		case "/endless":
			for range 4 {
				io.WriteString(w, long)
				w.(http.Flusher).Flush()
			}
		case "/cut":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "too little")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/cutchunks":
			io.WriteString(w, "too little")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/close":
			panic(http.ErrAbortHandler)
		case "/slow":
			select {
			case <-time.After(20 * time.Second):
			case <-r.Context().Done():
			}
		}
	})
	p := bothListeners(t, rec.URL, "  - {match: {paths: [/slow]}, timeout: 300ms, backend: api}\n")
	for _, c := range []struct {
		path, method  string
		app, web      int // 0: no whole response
		contains, not string
	}{
		{"/204", "GET", 204, 204, "", "Content-Length"},
		{"/304", "GET", 304, 304, "Etag: \"x\"\r\n", "Content-Length"},
		{"/103", "GET", 200, 103, "", ""},
		{"/chunked", "GET", 200, 200, "first second", ""},
		{"/chunked", "HEAD", 200, 200, "", "first"},
		{"/hop", "GET", 200, 200, "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n", "X-Own"},
		{"/long", "GET", 502, 200, "", ""},
		{"/long", "HEAD", 200, 200, "Content-Length: 2097152\r\n", ""},
		{"/endless", "GET", 502, 200, "", ""},
		{"/cut", "GET", 502, 0, "", ""},
		{"/cutchunks", "GET", 502, 0, "", ""},
		{"/close", "GET", 502, 502, "502 Bad Gateway", ""},
		{"/slow", "GET", 504, 504, "504 Gateway Timeout", ""},
	} {
		for _, way := range ways {
			t.Run(c.method+c.path+" "+way.name, func(t *testing.T) {
				want := c.web
				if way.name == "app" {
					want = c.app
				}
				response := way.send(t, p, c.method+" "+c.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
				if want == 0 {
					if response != nil {
						t.Errorf("a cut answer looks whole: %q", response)
					}
					return
				}
				if response == nil {
					t.Fatal("no answer")
				}
				resp, body := parseResponse(t, response, c.method)
				if resp.StatusCode != want {
					t.Errorf("status %d, want %d: %.300q", resp.StatusCode, want, response)
				}
				if !bytes.Contains(response, []byte(c.contains)) && !strings.Contains(body, c.contains) { // it may come in chunks
					t.Errorf("%q is missing in %.300q", c.contains, response)
				}
				if c.not != "" && bytes.Contains(response, []byte(c.not)) {
					t.Errorf("%q is in %.300q", c.not, response)
				}
				if way.name == "app" && c.path == "/long" && c.method == "GET" && !bytes.Contains(response, []byte("1MiB")) {
					t.Errorf("the limit isn't told: %q", response)
				}
			})
		}
	}
}
