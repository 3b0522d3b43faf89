package proxy

import (
	"net"
	"strings"
	"testing"
	"time"
)

func setDeadline(c net.Conn) { c.SetDeadline(time.Now().Add(20 * time.Second)) }

// allWays are all listeners that take HTTP requests, see everyListener.
var allWays = append(ways[:len(ways):len(ways)], way{"HTTP/2", sendH2}, way{"HTTP/3", sendH3})

// everyListener runs routes behind a listener of each kind.
func everyListener(t *testing.T, upstream, routes string) (p *Daemon, log string) {
	t.Helper()
	return start(t, load(t, `
listeners:
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY]}}
  web: {http: {address: "127.0.0.1:0"}}
  secure: {https: {address: "127.0.0.1:0", hosts: [localhost], tls: {internal: true}, http3: true}}
backends:
  api: {http: {upstreams: [{url: `+upstream+`}]}}
routes:
`+routes))
}

// trickyPaths are ways to write paths below /admin, as some server or other would
// understand them. What is refused gets 400, or a closed stream.
var trickyPaths = []struct {
	path    string
	refused bool
}{
	{"/admin", false}, {"/admin/", false}, {"/admin/x", false}, {"//admin/x", false}, {"/admin//x", false},
	{"/./admin/x", false}, {"/x/../admin/x", false}, {"/x/%2e%2e/admin/x", false}, {"/x/%2E./admin", false}, {"/%61dmin/x", false}, {"/%2e/admin", false},
	{"/admin%2fx", false}, {"/admin%2Fx", false}, {"/admin%5cx", false}, {"/admin%252fx", false}, {"/%2fadmin/x", false}, {"/%2561dmin", false},
	{"/Admin/x", false}, {"/ADMIN", false}, {"/admin./x", false}, {"/admin%20/x", false}, {"/admin..", false},
	{"/admin;x/y", false}, {"/admin;x", false}, {"/;x/admin/y", false}, {"/admin%3bx/y", false},
	{"/x/..%2fadmin", true}, {"/x%2f..%2fadmin", true}, {"/x/..;/admin", true}, {"/x/%2e%2e;/admin", true}, {"/x/..%5cadmin", true},
	{"/admin/x%0Ay", false}, {"/admin/%0d%0A", false},
	{"/../admin", true}, {"/admin%00", true}, {"/%zzadmin", true}, {"/x/..;a=b/admin", true},
}

// TestGuardedPaths: no way to write a path leads past the route that guards it, nor
// past one that is inside of another.
func TestGuardedPaths(t *testing.T) {
	for i, routes := range []string{
		"  - {match: {paths: [/admin/*]}, respond: 403}\n  - {backend: api}\n",
		"  - {match: {path_regexp: '^/admin(/.*)?$'}, respond: 403}\n  - {backend: api}\n",
		"  - {match: {hosts: [example.org]}, routes: [{match: {paths: [/admin/*]}, respond: 403}, {backend: api}]}\n",
		"  - match: {paths: [/admin/*]}\n    routes: [{match: {not: {paths: [/admin/help]}}, respond: 403}, {backend: api}]\n  - {backend: api}\n",
	} {
		routes = strings.ReplaceAll(routes, "respond: 403", "respond: {status: 403}")
		rec := newRecorder(t, nil)
		p, _ := everyListener(t, rec.URL, routes)
		to := allWays
		if i > 0 {
			to = allWays[1:2] // the first routes have shown that all listeners are alike
		}
		for _, c := range trickyPaths {
			for _, way := range to {
				response := way.send(t, p, "GET "+c.path+" HTTP/1.1\r\nHost: example.org\r\n\r\n")
				want := 403
				if c.refused {
					want = 400
				}
				if closed := response == nil; closed && !c.refused || !closed && status(t, response) != want {
					t.Errorf("%s over %s: %q, want %d", c.path, way.name, response, want)
				}
				if saw := rec.take(); len(saw) > 0 {
					t.Errorf("%s over %s reached the upstream: %q", c.path, way.name, saw)
				}
			}
		}
		for _, path := range []string{"/", "/administrator", "/x/admin", "/admi%6e-tools"} {
			for _, way := range allWays {
				if response := way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: example.org\r\n\r\n"); response == nil || status(t, response) != 200 {
					t.Errorf("%s over %s: %q, want 200", path, way.name, response)
				}
			}
		}
		rec.take()
	}
}

// TestGuardedScript: a script that is guarded by its name is guarded with a PATH_INFO
// too.
func TestGuardedScript(t *testing.T) {
	for _, match := range []string{"paths: [/setup.php, '*.inc.php']", `path_regexp: '^/setup\.php$|\.inc\.php$'`} {
		t.Run(match, func(t *testing.T) { testGuardedScript(t, match) })
	}
}

func testGuardedScript(t *testing.T, match string) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, "  - {match: {"+match+"}, respond: {status: 404}}\n  - {backend: api}\n")
	for path, want := range map[string]int{
		"/setup.php": 404, "/setup.php/x": 404, "/SETUP.php": 404, "/setup.php;x": 404, "/setup%2Ephp/": 404,
		"/a/b.inc.php/c": 404, "/a.d/e.f/b.inc.php/c.d/e": 404, "/a/b.INC.php": 404, "/setup.phpx": 200, "/x/setup.php": 200, "/b.inc.phpx": 200,
	} {
		for _, way := range allWays {
			if response := way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: example.org\r\n\r\n"); response == nil || status(t, response) != want {
				t.Errorf("%s over %s: %q, want %d", path, way.name, response, want)
			}
		}
	}
}

// TestConditions: regular expressions, queries, not, and routes inside of others.
func TestConditions(t *testing.T) {
	p, _ := everyListener(t, "http://127.0.0.1:1", `
  - {match: {path_regexp: '^/v(?P<n>\d+)/', not: {query: {draft: '*'}}}, respond: {body: regexp}}
  - {match: {query: {a: "1", b: "*"}}, respond: {body: query}}
  - match: {paths: [/in/*]}
    headers: {response: {set: {X-Level: outer, X-Outer: "1"}}}
    routes:
      - match: {methods: [TRACE]}
        respond: {body: traced}
      - match: {paths: [/in/deep/*]}
        headers: {response: {set: {X-Level: inner}}}
        routes:
          - {match: {not: {methods: [GET, HEAD]}}, respond: {body: changed}}
          - {match: {paths: [/in/deep/a]}, respond: {body: deep}}
      - {match: {paths: [/in/b]}, respond: {body: b}}
  - {respond: {body: rest}}
`)
	for _, c := range []struct {
		line   string
		status int
		body   string // contained in the response
	}{
		{"GET /v12/x", 200, "\r\n\r\nregexp"},
		{"GET /vx/", 200, "\r\n\r\nrest"},
		{"GET /v1/?draft", 200, "\r\n\r\nrest"},
		{"GET /x?b&a=2&a=%31", 200, "\r\n\r\nquery"},
		{"GET /x?a=1", 200, "\r\n\r\nrest"},
		{"GET /in", 404, "X-Outer: 1\r\n"},
		{"GET /in/other", 404, "X-Level: outer\r\n"},
		{"GET /in/b", 200, "\r\n\r\nb"},
		{"GET /in/deep/a", 200, "X-Level: inner\r\nX-Outer: 1\r\n"},
		{"GET /in/deep/b", 404, "X-Level: inner\r\n"},
		{"DELETE /in/deep/b", 200, "\r\n\r\nchanged"},
		{"TRACE /in/x", 200, "\r\n\r\ntraced"},
		{"TRACE /x", 405, "Allow: "},
	} {
		for _, way := range allWays {
			response := way.send(t, p, c.line+" HTTP/1.1\r\nHost: example.org\r\n\r\n")
			if response == nil || status(t, response) != c.status || !strings.Contains(string(response), c.body) {
				t.Errorf("%s over %s: %q, want %d with %q", c.line, way.name, response, c.status, c.body)
			}
		}
	}
}

// TestGuardedQuery: a guard sees a parameter that the server behind sees, whatever package
// net/url makes of the query; and what it leaves out by one, both see.
func TestGuardedQuery(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := everyListener(t, rec.URL, `
  - {match: {query: {debug: "*"}}, respond: {status: 403}}
  - {match: {query: {dotted.name: "*"}}, respond: {status: 403}}
  - {match: {paths: [/private], not: {query: {key: "*"}}}, respond: {status: 403}}
  - {backend: api}
`)
	for target, want := range map[string]int{
		"/?debug": 403, "/?debug=1": 403, "/?debug=1;x": 403, "/?debug=%zz": 403, "/?%64ebug=%": 403, "/?x=debug": 200,
		"/?+debug=1": 403, "/?debug%5B%5D=1": 403, "/?debug[x]": 403, "/?debug%00=1": 403, "/?debugger": 200, "/?x[debug]=1": 200,
		"/?dotted.name": 403, "/?dotted_name": 403, "/?dotted+name": 403, "/?dotted[name": 403, "/private?+key=1": 403, "/private?key[]=1": 403,
		"/private": 403, "/private?key=1": 200, "/private?key=%zz": 403, "/private?key=1;x": 403,
	} {
		for _, way := range allWays {
			response := way.send(t, p, "GET "+target+" HTTP/1.1\r\nHost: example.org\r\n\r\n")
			if response == nil || status(t, response) != want {
				t.Errorf("%s over %s: %.100q, want %d", target, way.name, response, want)
			}
		}
	}
}

// TestExceptionsOfGuards: a path that a guard leaves out is left out only if no server
// could take it for another one.
func TestExceptionsOfGuards(t *testing.T) {
	for _, not := range []string{"paths: [/public/*]", "path_regexp: '^/public/'"} {
		rec := newRecorder(t, nil)
		p, _ := everyListener(t, rec.URL, "  - {match: {not: {"+not+"}}, respond: {status: 403}}\n  - {backend: api}\n")
		for path, want := range map[string]int{
			"/public/x": 200, "/public/a%20b": 200, "/public/X.css": 200, "/public/x;v=1": 200, "/admin": 403,
			"/public/..%3B/admin": 403, "/public/%252e%252e/admin": 403, "/public/..%253b/admin": 403, "/Public/x": 403,
		} {
			for _, way := range allWays {
				response := way.send(t, p, "GET "+path+" HTTP/1.1\r\nHost: example.org\r\n\r\n")
				if response == nil || status(t, response) != want {
					t.Errorf("not %s: %s over %s: %.100q, want %d", not, path, way.name, response, want)
				}
			}
		}
	}
}
