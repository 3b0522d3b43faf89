package migrate

import (
	"strings"
	"testing"
)

// TestRewrites: a target that begins with a group has its slash, and one that a rewrite
// can't have is a comment.
func TestRewrites(t *testing.T) {
	for _, c := range []struct{ name, server, want string }{
		{"a group with the slash in it", `rewrite ^/a(/.*)$ $1 last;`, `
- match: {path_regexp: "^/a(/.*)$"}
  backend: files
  rewrite: {path: "/{re.1}"}
- backend: files`},
		{"with the query", `rewrite ^/a$ /b$request_uri last;`, `
# nginx.conf:1: rewrite ^/a$ /b$request_uri last; isn't moved: the path that it leads to isn't one of mkd's rewrite
- backend: files`},
		{"a condition on the query", `if ($request_uri ~ "^/a\?b=(.*)$") { return 301 /c/$1; }`, `
- backend: files`},
		{"a condition on what was asked for", `if ($request_uri ~ "^/a/(.*)$") { return 301 /c/$1; }`, `
# nginx.conf:1: if ($request_uri ~ "^/a/(.*)$") {...} differs: the path is compared, decoded and without the query
- match: {path_regexp: "^/a/(.*)$"}
  redirect: {to: "/c/{re.1}?{query}", status: 301}
- backend: files`},
		{"a target with a query", `rewrite ^/a$ /b?c=d redirect;`, `
# nginx.conf:1: rewrite ^/a$ /b?c=d redirect; differs: the client's query isn't added to that of the target
- match: {path_regexp: ^/a$}
  redirect: {to: '/b?c=d'}
- backend: files`},
		{"a prefix without a slash", `location /a { proxy_pass http://127.0.0.1:3000/b/; } location /c/ { proxy_pass http://127.0.0.1:3000/d; }`, `
# nginx.conf:1: proxy_pass http://127.0.0.1:3000/d; differs: a slash follows /d: nginx writes /dx
- match: {paths: ["/c/*"]}
  backend: app
  strip_prefix: /c
  rewrite: {add_prefix: /d}
# nginx.conf:1: proxy_pass http://127.0.0.1:3000/b/; differs: /a is taken off in front of a slash alone: /ax stays as it is
- match: {path_regexp: ^/a}
  backend: app
  strip_prefix: /a
  rewrite: {add_prefix: /b}
- backend: files`},
	} {
		if have := moved(t, "server { listen 80; root /srv; "+c.server+" }"); have != strings.TrimSpace(c.want) {
			t.Errorf("%s: have\n%s\nwant%s", c.name, have, c.want)
		}
	}
}

// TestCachedErrors: a field by which errors would be cached has a comment.
func TestCachedErrors(t *testing.T) {
	for line, noted := range map[string]bool{
		"expires 1y;":                                 true,
		"add_header Cache-Control max-age=60;":        true,
		"add_header Cache-Control max-age=60 always;": false,
		"add_header Cache-Control no-store;":          false,
	} {
		have := moved(t, "server { listen 80; location / { proxy_pass http://127.0.0.1:3000; "+line+" } }")
		if strings.Contains(have, "differs: responses with errors have it too") != noted {
			t.Errorf("%s: have\n%s", line, have)
		}
	}
}
