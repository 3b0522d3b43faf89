package proxy

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestHostBesideAuthority: a Host field beside :authority got to upstreams as
// soon as a route changed a field, though the route had matched the authority.
func TestHostBesideAuthority(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {hosts: [public.test]}, headers: {request: {set: {X-Set: a}}}, backend: api}
  - {match: {hosts: [set.test]}, headers: {request: {set: {Host: inner.test}}}, backend: api}
`)
	const public = "public.test"
	for _, c := range []struct {
		authority string
		hosts     []string
		status    int
		seen      string
		stricter  bool // HTTP/3's server refuses it, though nothing is ambiguous
	}{
		{public, nil, 200, public, false},
		{public, []string{public}, 200, public, false},
		{public, []string{"PUBLIC.test"}, 200, public, true},
		{public, []string{"admin.test"}, 400, "", false},
		{public, []string{public, "admin.test"}, 400, "", false},
		{public, []string{"admin.test", public}, 400, "", false},
		{public, []string{public, public}, 400, "", false},
		{public, []string{""}, 400, "", false},
		{public, []string{public + ":8443"}, 400, "", false},
		{"", []string{public}, 200, public, false},
		{"", []string{public, "admin.test"}, 400, "", false},
		{"set.test", []string{"set.test"}, 200, "inner.test", false},
		{"set.test", []string{"admin.test"}, 400, "", false},
	} {
		fields := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/"}}
		if c.authority != "" {
			fields = append(fields, hpack.HeaderField{Name: ":authority", Value: c.authority})
		}
		for _, h := range c.hosts {
			fields = append(fields, hpack.HeaderField{Name: "host", Value: h})
		}
		for version, send := range map[string]func() got{
			"HTTP/2": func() got { return sendHTTP2(t, dialTLS(t, p, "h2"), fields, "") },
			"HTTP/3": func() got { return sendHTTP3(t, dialQUIC(t, p), fields, "") },
		} {
			g := send()
			saw := rec.take()
			if version == "HTTP/3" && g.status == 0 && len(saw) == 0 && (c.status == 400 || c.stricter) {
				continue // its server resets a stream whose header is malformed (RFC 9114, section 4.1.2)
			}
			if g.status != c.status || (c.status == 200) != (len(saw) == 1) {
				t.Errorf("%s: %q and %q: %d %q; seen: %q", version, c.authority, c.hosts, g.status, g.body, saw)
				continue
			}
			if len(saw) == 1 && (saw[0].host != c.seen || strings.Contains("\n"+saw[0].headers, "\nHost: ")) {
				t.Errorf("%s: %q and %q: seen %q", version, c.authority, c.hosts, saw)
			}
		}
	}
	for _, way := range everyWay { // the operator's Host
		if g := way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: set.test"}}); g.status != 200 {
			t.Errorf("%s: %+v", way.name, g)
		}
		if saw := rec.take(); len(saw) != 1 || saw[0].host != "inner.test" || !strings.Contains(saw[0].headers, "X-Forwarded-Host: set.test\n") {
			t.Errorf("%s: %q", way.name, saw)
		}
	}
}

// TestMalformedStreams: the servers of HTTP/2 and HTTP/3 let requests pass that are
// malformed, and would be another request, or none, for some server behind.
func TestMalformedStreams(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {methods: [DELETE]}, respond: {status: 403}}
  - backend: api
`)
	for _, c := range []struct {
		name, method, path, length, body string
		ok                               bool
	}{
		{"a body of its length", "POST", "/", "5", "12345", true},
		{"no body", "POST", "/", "0", "", true},
		{"a shorter body", "POST", "/", "9", "12345", false},
		{"a longer body", "POST", "/", "3", "12345", false},
		{"a length without a body", "POST", "/", "9", "", false},
		{"a signed length", "POST", "/", "+5", "12345", false},
		{"a negative length", "POST", "/", "-5", "", false},
		{"a list of lengths", "POST", "/", "5, 5", "12345", false},
		{"a method with a space", "GET /x", "/", "", "", false},
		{"a method in lower case", "delete", "/", "", "", false},
		{"a path that is a URL", "GET", "http://admin.test/", "", "", false},
		{"no path, but the server as a whole", "OPTIONS", "*", "", "", false},
		{"a fragment in the query", "GET", "/?debug=1#x", "", "", false},
		{"a fragment in the path", "GET", "/a#x", "", "", false},
	} {
		fields := []hpack.HeaderField{{Name: ":method", Value: c.method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: c.path}, {Name: ":authority", Value: "x"}}
		for version, send := range map[string]func(fields []hpack.HeaderField) got{
			"HTTP/2": func(fields []hpack.HeaderField) got { return exchangeHTTP2(t, dialTLS(t, p, "h2"), fields, c.body) },
			"HTTP/3": func(fields []hpack.HeaderField) got { return exchangeHTTP3(t, dialQUIC(t, p), fields, c.body) },
		} {
			f := fields
			if c.length != "" {
				f = append(f[:len(f):len(f)], hpack.HeaderField{Name: "content-length", Value: c.length})
			}
			g := send(f)
			saw := rec.take()
			if c.ok != (g.status == 200) || !c.ok && g.status != 400 && g.status != 0 || len(saw) > 0 && (!c.ok || saw[0].body != c.body) {
				t.Errorf("%s: %s: %d %q; seen: %q", version, c.name, g.status, g.body, saw)
			}
		}
	}
	for _, way := range everyWay[:3] {
		if g := way.send(t, p, &asked{method: "delete", target: "/", fields: []string{"Host: x"}}); g.status != 400 {
			t.Errorf("%s: a method in lower case: %+v", way.name, g)
		}
	}
	if saw := rec.take(); len(saw) > 0 {
		t.Errorf("seen: %q", saw)
	}
}

// TestSpacesAroundValues: a condition on a field holds for a value with spaces around it,
// as for the server behind, which drops them.
func TestSpacesAroundValues(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {headers: {X-Debug: "1"}}, respond: {status: 403}}
  - backend: api
`)
	for _, value := range []string{"1", "1 ", " 1", "\t1", " 1 \t"} {
		fields := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/"},
			{Name: ":authority", Value: "x"}, {Name: "x-debug", Value: value}}
		for version, g := range map[string]got{
			"HTTP/2": exchangeHTTP2(t, dialTLS(t, p, "h2"), fields, ""),
			"HTTP/3": exchangeHTTP3(t, dialQUIC(t, p), fields, ""),
		} {
			if g.status != 403 {
				t.Errorf("%s: %q: %d %q", version, value, g.status, g.body)
			}
		}
		for _, way := range everyWay[:3] {
			if g := way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x", "X-Debug: " + value}}); g.status != 403 {
				t.Errorf("%s: %q: %+v", way.name, value, g)
			}
		}
	}
	if saw := rec.take(); len(saw) > 0 {
		t.Errorf("seen: %q", saw)
	}
}

// TestTrace: no route takes TRACE that doesn't name it.
func TestTrace(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/named], methods: [TRACE, GET]}, backend: api}
  - {match: {paths: [/fixed]}, respond: {status: 200}}
  - backend: api
`)
	for _, way := range everyWay {
		for target, want := range map[string]int{"/named": 200, "/fixed": 405, "/": 405} {
			g := way.send(t, p, &asked{method: "TRACE", target: target, fields: []string{"Host: x", "Cookie: secret"}})
			if g.status != want || strings.Contains(g.body, "secret") || want == 405 && g.header.Get("Allow") == "" {
				t.Errorf("%s: TRACE %s: %+v", way.name, target, g)
			}
			if saw := rec.take(); (want == 200) != (len(saw) == 1) {
				t.Errorf("%s: TRACE %s: seen %q", way.name, target, saw)
			}
		}
	}
}

// TestRedirectWithoutHost: a redirect to {host} of a request without one led to
// https:///.
func TestRedirectWithoutHost(t *testing.T) {
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - {match: {paths: [/path]}, redirect: {to: "/new"}}
  - {match: {paths: [/*]}, redirect: {to: "https://{host}{uri}"}}
  - backend: api
`)
	for target, want := range map[string]string{"/path": "/new", "/": ""} {
		request := "GET " + target + " HTTP/1.0\r\n\r\n"
		message, err := client(t, p, "app").Send(t.Context(), []byte(request))
		if err != nil {
			t.Fatal(err)
		}
		for name, response := range map[string][]byte{"http": sendWeb(t, p, request), "megaki": message} {
			resp, _ := parseResponse(t, response, "GET")
			if resp.Header.Get("Location") != want || (want == "") != (resp.StatusCode == 400) {
				t.Errorf("%s: %s: %q", name, target, response)
			}
		}
	}
}

// TestMaxFields: requests with more fields than max_fields get 431.
func TestMaxFields(t *testing.T) {
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - {match: {paths: [/]}, respond: {body: fine}}
  - backend: api
`)
	for n, want := range map[int]int{199: 200, 201: 431} { // Host may count too
		a := &asked{method: "GET", target: "/", fields: []string{"Host: x"}}
		for i := range n {
			a.fields = append(a.fields, fmt.Sprintf("X-%d: a", i/2))
		}
		for _, way := range everyWay {
			if g := way.send(t, p, a); g.status != want {
				t.Errorf("%s: %d fields: %+v", way.name, n, g)
			}
		}
	}
}

// TestRouteNames: logs have a route's name, or its place.
func TestRouteNames(t *testing.T) {
	p, log := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: "http://127.0.0.1:1"}]}}
routes:
  - {name: front-page, match: {paths: [/]}, respond: {status: 200}}
  - {match: {paths: [/other]}, respond: {status: 200}}
  - backend: api
`)
	for _, way := range everyWay {
		way.send(t, p, &asked{method: "GET", target: "/", fields: []string{"Host: x"}})
		way.send(t, p, &asked{method: "GET", target: "/other", fields: []string{"Host: x"}})
	}
	awaitLog(t, log, `"path":"/","route":"front-page"`)
	awaitLog(t, log, `"path":"/other","route":"routes[1]"`)
}
