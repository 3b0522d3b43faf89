//go:build linux

package proxy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRequestURIAsWritten: PHP sees the path that the client wrote, while routes
// match the cleaned one; encoded slashes reach scripts where a route lets them.
func TestRequestURIAsWritten(t *testing.T) {
	f := startFPM(t, 2, map[string]string{"index.php": dumpServer, "rest.php": dumpServer, "static/a.txt": "a text"})
	worker := filepath.Join(f.dir, "worker.php")
	if err := os.WriteFile(worker, []byte(`<?php $ARCANGELO_USERSPACE = ['on_http' => fn ($r) => new arca\Response(json_encode($_SERVER))];`), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := allListeners(t, `
backends:
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, try: ["{path}", "{path}/", /index.php]}}
  worker: {php: {script: `+worker+`, workers: {min: 1, max: 1}}}
routes:
  - {match: {paths: [/admin/*]}, respond: {status: 403}}
  - {match: {hosts: [worker.test]}, backend: worker}
  - {match: {paths: [/shop/*]}, strip_prefix: /shop, encoded_slashes: true, backend: fpm}
  - {match: {paths: ["/a b/*"]}, strip_prefix: "/a b", backend: fpm}
  - {match: {hosts: [encoded.test]}, encoded_slashes: true, backend: fpm}
  - backend: fpm
`)
	for _, c := range []struct {
		target, host string
		status       int
		uri          string // REQUEST_URI
		script       string // SCRIPT_NAME
		info         any    // PATH_INFO
	}{
		{"//sample-page//", "fpm.test", 200, "//sample-page//", "/index.php", nil},
		{"//sample-page//?a=//b", "fpm.test", 200, "//sample-page//?a=//b", "/index.php", nil},
		{"/p%61ge/%7ex?", "fpm.test", 200, "/p%61ge/%7ex?", "/index.php", nil},
		{"/rest.php//v1//x", "fpm.test", 200, "/rest.php//v1//x", "/rest.php", "/v1/x"},
		{"/a/../page", "fpm.test", 200, "/page", "/index.php", nil}, // else /admin/../page would pass as /admin to a script
		{"/a/%2e%2E/page", "fpm.test", 200, "/page", "/index.php", nil},
		{"/x/..//admin/", "fpm.test", 403, "", "", nil},
		{"//admin//x", "fpm.test", 403, "", "", nil},
		{"/%61dmin/x", "worker.test", 403, "", "", nil},
		{"//sample-page//", "worker.test", 200, "//sample-page//", "/worker.php", nil},
		{"/a%2Fb//c?d", "worker.test", 200, "/a%2Fb//c?d", "/worker.php", nil},
		{"/shop//x//y?z", "fpm.test", 200, "/shop//x//y?z", "/shop/index.php", nil},
		{"/a%20b//x", "fpm.test", 200, "/a%20b//x", "/a b/index.php", nil},
		{"/a%20b/y/../x", "fpm.test", 200, "/a%20b/x", "/a b/index.php", nil},
		{"/shop/rest.php/a%2fb", "fpm.test", 200, "/shop/rest.php/a%2fb", "/shop/rest.php", "/a/b"},

		{"/a%2Fb", "fpm.test", 404, "", "", nil},
		{"/rest.php/v1/page/Foo%2FBar", "fpm.test", 404, "", "", nil},
		{"/rest.php/v1/page/Foo%2FBar", "encoded.test", 200, "/rest.php/v1/page/Foo%2FBar", "/rest.php", "/v1/page/Foo/Bar"},
		{"/rest.php/Foo%2fBar/x?y", "encoded.test", 200, "/rest.php/Foo%2fBar/x?y", "/rest.php", "/Foo/Bar/x"},
		{"/wiki/Foo%2FBar", "encoded.test", 200, "/wiki/Foo%2FBar", "/index.php", nil},
		{"/Foo%5CBar", "encoded.test", 200, "/Foo%5CBar", "/index.php", nil},
		{"/static%2Fa.txt", "encoded.test", 200, "/static%2Fa.txt", "/index.php", nil},
		{"/static/a.txt%2Fx", "encoded.test", 200, "/static/a.txt%2Fx", "/index.php", nil},
		{"/x%2Frest.php", "encoded.test", 200, "/x%2Frest.php", "/index.php", nil},
		{"/rest.php/..%2Fx", "encoded.test", 400, "", "", nil},
		{"/missing.php/a%2Fb", "encoded.test", 200, "/missing.php/a%2Fb", "/index.php", nil},
	} {
		for _, way := range everyWay {
			g := way.send(t, p, &asked{method: "GET", target: c.target, fields: []string{"Host: " + c.host}})
			if g.status != c.status {
				t.Errorf("%s: %s %s: %d, want %d", way.name, c.host, c.target, g.status, c.status)
				continue
			}
			if c.status != 200 {
				continue
			}
			var server map[string]any
			if err := json.Unmarshal([]byte(g.body), &server); err != nil {
				t.Errorf("%s: %s %s: %v in %q", way.name, c.host, c.target, err, g.body)
				continue
			}
			_, query, _ := strings.Cut(c.target, "?")
			if server["REQUEST_URI"] != c.uri || server["SCRIPT_NAME"] != c.script || server["PATH_INFO"] != c.info || server["QUERY_STRING"] != query {
				t.Errorf("%s: %s %s: %v, %v, %v, %v", way.name, c.host, c.target, server["REQUEST_URI"], server["SCRIPT_NAME"], server["PATH_INFO"], server["QUERY_STRING"])
			}
		}
	}
}

// TestRawPath: an HTTP upstream sees the written path only where a route is configured so,
// and never one that could mean another path than the route matched.
func TestRawPath(t *testing.T) {
	rec := newRecorder(t, nil)
	p, _ := allListeners(t, `
backends:
  api: {http: {upstreams: [{url: `+rec.URL+`}]}}
routes:
  - {match: {paths: [/admin, /admin/*]}, respond: {status: 403}}
  - {match: {hosts: [raw.test], paths: [/v1/*]}, strip_prefix: /v1, raw_path: true, backend: api}
  - {match: {hosts: [raw.test], paths: ["/v(2)/*"]}, strip_prefix: "/v(2)", raw_path: true, backend: api}
  - {match: {hosts: [raw.test]}, raw_path: true, backend: api}
  - backend: api
`)
	for _, c := range []struct{ host, target, want string }{ // "": 403
		{"x.test", "/proxy/https://x.test//a", "/proxy/https:/x.test/a"},
		{"raw.test", "/proxy/https://x.test//a?b=//c", "/proxy/https://x.test//a?b=//c"},
		{"raw.test", "/%61%2fb%2Fc%3a?", "/%61%2fb%2Fc%3a?"},
		{"raw.test", "//evil.test/a", "//evil.test/a"},
		{"raw.test", "/a/../b//c", "/b/c"},
		{"raw.test", "/a/%2e%2e/b//c", "/b/c"},
		{"raw.test", "/a/.//b", "/a/b"},
		{"raw.test", "/x/..//admin/y", ""},
		{"raw.test", "//admin//y", ""},
		{"raw.test", "/%61dmin", ""},
		{"raw.test", "/v1//a//b", "//a//b"},
		{"raw.test", "/v1/https%3A//b", "/https%3A//b"},
		{"raw.test", "//v1/a//b", "/a/b"}, // the prefix is written in another way
		{"raw.test", "/%761/a//b", "/a/b"},
		{"raw.test", "/v(2)/a//b", "/a//b"},
		{"raw.test", "/v%282%29/a//b", "/a//b"},
		{"raw.test", "/v(2%29/a//b", "/a/b"},
		{"raw.test", "/a|b%2Fc//d", "/a%7Cb%2Fc/d"},
	} {
		for _, way := range everyWay {
			g := way.send(t, p, &asked{method: "GET", target: c.target, fields: []string{"Host: " + c.host}})
			saw := rec.take()
			if c.want == "" {
				if g.status != 403 || len(saw) > 0 {
					t.Errorf("%s: %s: %d, seen %q", way.name, c.target, g.status, saw)
				}
				continue
			}
			if len(saw) != 1 || saw[0].line != "GET "+c.want {
				t.Errorf("%s: %s: %d, seen %q, want %q", way.name, c.target, g.status, saw, c.want)
			}
		}
	}
}
