package migrate

import (
	"strings"
	"testing"

	"mkd/migrate/nginxconf"
)

// siteOf returns the server of a configuration.
func siteOf(t *testing.T, text string) *site {
	t.Helper()
	all, err := nginxconf.Parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	m := newMigration("f")
	s := &site{d: all[0], scope: &scope{m: m, own: all[0].Block}}
	s.readLocations(m)
	return s
}

// TestFind chooses locations as nginx's documentation has it, which is where the
// letters are from.
func TestFind(t *testing.T) {
	documented := siteOf(t, `server {
		location = / { a; }
		location / { b; }
		location /documents/ { c; }
		location ^~ /images/ { d; }
		location ~* \.(gif|jpg|jpeg)$ { e; }
	}`)
	more := siteOf(t, `server {
		location ^~ /a/ { a; }
		location /a/long/ { b; }
		location ~ \.x$ { c; }
		location ~ ^/second { d; }
		location ~ ^/sec { e; }
		location /outer/ { f; location ~ \.y$ { g; } location = /outer/one { h; } location /outer/deep/ { i; } }
		location @name { j; }
		location /a/long/er { k; }
	}`)
	for _, c := range []struct {
		s          *site
		path, want string
	}{
		{documented, "/", "a"},
		{documented, "/index.html", "b"},
		{documented, "/documents/document.html", "c"},
		{documented, "/images/1.gif", "d"},
		{documented, "/documents/1.jpg", "e"},
		{documented, "/documents/1.JPG", "e"},

		{more, "/a/1.x", "a"},
		{more, "/a/long/1", "b"},
		{more, "/a/long/er", "k"},
		{more, "/second", "d"},
		{more, "/sector", "e"},
		{more, "/outer/1", "f"},
		{more, "/outer/1.y", "g"},
		{more, "/other/1.y", ""},
		{more, "/outer/one", "h"},
		{more, "/outer/deep/1", "i"},
		{more, "@name", ""},
	} {
		l := c.s.find(c.path)
		have := ""
		if l != nil && l.d != nil {
			have = l.d.Block[0].Name
		}
		if have != c.want {
			t.Errorf("%s: have %q, want %q", c.path, have, c.want)
		}
	}
}

// TestComments finds each directive that isn't moved in a comment, with its place.
func TestComments(t *testing.T) {
	all, err := nginxconf.Parse("dir/nginx.conf", `worker_processes 4;
stream {}
http {
	geo $a { default 0; }
	map $http_upgrade $b { default upgrade; }
	map $c $d { default 1; }
	perl_modules x;
	server {
		listen 80;
		listen unix:/run/a.sock;
		root /srv;
		server_name a.org ~^b;
		unknown_thing 1;
		include missing.conf;
		location /a/ {
			sub_filter
				x y;
			limit_rate 5k;
			sendfile on;
		}
		location ~ (?=x) { deny all; }
		if ($d) { return 403; }
		location /f/ { proxy_pass http://$d; }
		location /g/ { uwsgi_pass unix:/run/u.sock; }
	}
}`)
	if err != nil {
		t.Fatal(err)
	}
	result, err := convert("dir/nginx.conf", all)
	if err != nil {
		t.Fatal(err)
	}
	text := string(result.YAML)
	for _, want := range []string{
		"# 14 directives aren't moved: look for \"isn't moved\".\n",
		"\n# nginx.conf:2: stream {...} isn't moved: mkd forwards requests, not connections\n",
		"\n# nginx.conf:4: geo $a {...} isn't moved: mkd has no variables of one's own; match: {from: [...]} of a route selects addresses\n",
		"\n# nginx.conf:6: map $c $d {...} isn't moved: mkd has no variables of one's own; look for what uses it\n",
		"\n# nginx.conf:7: perl_modules x; isn't moved: mkd runs no code of its own\n",
		"# nginx.conf:10: listen unix:/run/a.sock; isn't moved: mkd listens on TCP ports\n",
		"# nginx.conf:12: server_name a.org ~^b; isn't moved: a host is a name, or *. and a name: ~^b\n",
		"# nginx.conf:13: unknown_thing 1; isn't moved: mkd has nothing like it\n",
		"# nginx.conf:14: include missing.conf; isn't moved: the file doesn't exist, or can't be found from here\n",
		"# nginx.conf:16: sub_filter x y; isn't moved: mkd doesn't change bodies\n  # nginx.conf:18: limit_rate 5k; isn't moved: mkd doesn't slow responses down\n",
		"# nginx.conf:21: location ~ (?=x) {...} isn't moved: mkd's regular expressions have no lookahead, lookbehind or backreference; write it with match and not\n",
		"# nginx.conf:21: it refuses requests: its paths are open until you write a route for them\n",
		"# nginx.conf:22: if ($d) {...} isn't moved: mkd has conditions only in match of a route\n",
		"# nginx.conf:23: proxy_pass http://$d; isn't moved: the URL of a server has no variables\n",
		"# nginx.conf:24: uwsgi_pass unix:/run/u.sock; isn't moved: mkd doesn't speak uwsgi; let the server speak HTTP\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, never := range []string{"worker_processes", "sendfile", "http_upgrade"} {
		if strings.Contains(text, never) {
			t.Errorf("%s is in\n%s", never, text)
		}
	}
}

// TestNested: a regular expression within a prefix takes paths that match both, and has
// the folder of its alias.
func TestNested(t *testing.T) {
	for _, c := range []struct{ name, server, want string }{
		{"an ending", `location /up/ { location ~ \.php$ { deny all; } }`, `
- match: {paths: ["/up/*"], path_regexp: \.php$}
  respond: {status: 403}
- backend: files`},
		{"alternatives", `location /up { location ~ \.a$|\.b$ { deny all; } }`, `
- match: {path_regexp: '^/up.*(?:\.a$|\.b$)'}
  respond: {status: 403}
- backend: files`},
		{"an alias", `location /c/ { alias /other/; location ~ \.txt$ { add_header X-T 1; } }`, `
- match: {paths: ["/c/*"], path_regexp: \.txt$}
  backend: files
  strip_prefix: /c
  headers: {response: {set: {X-T: "1"}}}
- match: {paths: ["/c/*"]}
  backend: files
  strip_prefix: /c
- backend: files_2`},
	} {
		if have := moved(t, "server { listen 80; root /srv; "+c.server+" }"); have != strings.TrimSpace(c.want) {
			t.Errorf("%s: have\n%s\nwant%s", c.name, have, c.want)
		}
	}
}
