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
		{"without a flag", `rewrite ^/a/(.*)$ /b/$1; rewrite ^/c/(.*)$ /d/$1; rewrite ^/b/(.*)$ /e/$1 last;`, `
# nginx.conf:1: rewrite ^/a/(.*)$ /b/$1; differs: nginx then runs rewrite ^/b/(.*)$ /e/$1 last; (nginx.conf:1), which mkd does only for the path of the client
- match: {path_regexp: "^/a/(.*)$"}
  backend: files
  rewrite: {path: "/b/{re.1}"}
- match: {path_regexp: "^/c/(.*)$"}
  backend: files
  rewrite: {path: "/d/{re.1}"}
- match: {path_regexp: "^/b/(.*)$"}
  backend: files
  rewrite: {path: "/e/{re.1}"}
- backend: files`},
		{"without a flag, in front of what ends it", `rewrite ^/a$ /b; break; return 404;`, `
# nginx.conf:1: break; isn't moved: a route has one rewrite
- match: {path_regexp: ^/a$}
  backend: files
  rewrite: {path: /b}
- respond: {status: 404}`},
		{"to a location with rules", `rewrite ^/a$ /b break; location = /b { return 403; }`, `
# nginx.conf:1: rewrite ^/a$ /b break; differs: nginx then runs return 403; (nginx.conf:1), which mkd does only for the path of the client
- match: {path_regexp: ^/a$}
  backend: files
  rewrite: {path: /b}
- match: {paths: [/b]}
  respond: {status: 403}
- backend: files`},
		{"in a location with rules", `location /a/ { rewrite ^/a/b$ /a/c last; rewrite ^/a/d$ /a/e break; rewrite ^/a/[cf]$ /a/g last; proxy_pass http://127.0.0.1:3000; }`, `
# nginx.conf:1: rewrite ^/a/b$ /a/c last; differs: nginx then runs rewrite ^/a/[cf]$ /a/g last; (nginx.conf:1), which mkd does only for the path of the client
- match: {paths: ["/a/*"], path_regexp: ^/a/b$}
  backend: app
  rewrite: {path: /a/c}
- match: {paths: ["/a/*"], path_regexp: ^/a/d$}
  backend: app
  rewrite: {path: /a/e}
- match: {paths: ["/a/*"], path_regexp: '^/a/[cf]$'}
  backend: app
  rewrite: {path: /a/g}
- match: {paths: ["/a/*"]}
  backend: app
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
