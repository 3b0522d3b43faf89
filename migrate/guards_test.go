package migrate

import (
	"strings"
	"testing"
)

// TestGuards: rules of allow and deny let the same clients in, whatever else the route
// of their location has.
func TestGuards(t *testing.T) {
	for _, c := range []struct{ name, server, want string }{
		{"a preferred prefix with another below it", `location ^~ /a/ { allow 10.0.0.0/8; deny all; } location /a/b/ { }`, `
- match: {paths: ["/a/*"], from: [10.0.0.0/8], not: {paths: ["/a/b/*"]}}
  backend: files
- match: {paths: ["/a/*"], not: {paths: ["/a/b/*"]}}
  respond: {status: 403}
- backend: files`},
		{"a lookahead", `location ~ ^/a/(?!b) { deny 10.9.0.0/16; allow 10.0.0.0/8; deny all; }`, `
- match: {path_regexp: ^/a/, from: [10.9.0.0/16], not: {path_regexp: "^/a/(?:b)"}}
  respond: {status: 403}
- match: {path_regexp: ^/a/, from: [10.0.0.0/8], not: {path_regexp: "^/a/(?:b)"}}
  backend: files
# nginx.conf:1: location ~ ^/a/(?!b) {...} differs: the part (?!b) is tried once for the whole path
- match: {path_regexp: ^/a/, not: {path_regexp: "^/a/(?:b)"}}
  respond: {status: 403}
- backend: files`},
		{"allowed before a wider deny", `location /a/ { allow 10.1.0.0/16; deny 10.0.0.0/8; allow all; }`, `
- match: {paths: ["/a/*"], from: [10.0.0.0/8], not: {from: [10.1.0.0/16]}}
  respond: {status: 403}
- backend: files`},
		{"of each kind", `location /a/ { allow 10.1.0.0/16; deny 10.0.0.0/8; deny 11.0.0.0/8; allow 192.168.0.0/16; deny all; }`, `
- match: {paths: ["/a/*"], from: [10.0.0.0/8, 11.0.0.0/8], not: {from: [10.1.0.0/16]}}
  respond: {status: 403}
- match: {paths: ["/a/*"], not: {from: [10.1.0.0/16, 192.168.0.0/16]}}
  respond: {status: 403}
- backend: files`},
		{"a rewrite within", `location /a/ { allow 10.0.0.0/8; deny all; rewrite ^/a/(.*)$ /$1 break; proxy_pass http://127.0.0.1:3000; }`, `
- match: {paths: ["/a/*"], path_regexp: "^/a/(.*)$", not: {from: [10.0.0.0/8]}}
  respond: {status: 403}
- match: {paths: ["/a/*"], path_regexp: "^/a/(.*)$"}
  backend: app
  rewrite: {path: "/{re.1}"}
- match: {paths: ["/a/*"], not: {from: [10.0.0.0/8]}}
  respond: {status: 403}
- match: {paths: ["/a/*"]}
  backend: app
- backend: files`},
		{"a rewrite to it", `rewrite ^/x$ /a/x last; location /a/ { deny all; }`, `
- match: {path_regexp: ^/x$}
  respond: {status: 403}
- match: {paths: ["/a/*"]}
  respond: {status: 403}
- backend: files`},
	} {
		if have := moved(t, "server { listen 80; root /srv; "+c.server+" }"); have != strings.TrimSpace(c.want) {
			t.Errorf("%s: have\n%s\nwant%s", c.name, have, c.want)
		}
	}
}
