package migrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParams: parameters that a configuration sets to values of its own are moved, or are
// comments; those that mkd sets by itself need nothing.
func TestParams(t *testing.T) {
	for _, c := range []struct{ name, params, want string }{
		{"usual", `fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; fastcgi_param HTTPS $https if_not_empty; fastcgi_param SERVER_NAME $host; fastcgi_param PATH_INFO $fastcgi_path_info; fastcgi_param HTTP_PROXY "";`, ``},
		{"of a site behind TLS", `fastcgi_param HTTPS on; fastcgi_param SERVER_PORT 443;`, `env: {HTTPS: on, SERVER_PORT: "443"}`},
		{"twice", `fastcgi_param APP_ENV dev; fastcgi_param APP_ENV prod;`, `env: {APP_ENV: prod}`},
		{"of a proxy", `fastcgi_param REMOTE_ADDR $http_x_real_ip;`, `# nginx.conf:1: fastcgi_param REMOTE_ADDR $http_x_real_ip; isn't moved: mkd sets it by itself; it believes the X-Forwarded fields of trusted_proxies`},
		{"a path of its own", `fastcgi_param PATH_INFO $uri;`, `# nginx.conf:1: fastcgi_param PATH_INFO $uri; isn't moved: mkd sets it by itself; it believes the X-Forwarded fields of trusted_proxies`},
		{"another script", `fastcgi_param SCRIPT_FILENAME $document_root/v2$fastcgi_script_name;`, `# nginx.conf:1: fastcgi_param SCRIPT_FILENAME $document_root/v2$fastcgi_script_name; isn't moved: mkd runs the script that the path leads to`},
		{"one script", `fastcgi_param SCRIPT_FILENAME $document_root/front.php;`, `rewrite: {path: /front.php}`},
		{"one script by its whole path", `fastcgi_param SCRIPT_FILENAME /srv/front.php;`, `rewrite: {path: /front.php}`},
	} {
		file := filepath.Join(t.TempDir(), "nginx.conf")
		text := "server { listen 80; root /srv; location / { fastcgi_pass 127.0.0.1:9000; " + c.params + " } }"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Nginx(file)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for line := range strings.SplitSeq(string(r.YAML), "\n") {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "env:") || strings.HasPrefix(line, "rewrite:") || strings.HasPrefix(line, "# nginx.conf:") {
				have = append(have, line)
			}
		}
		if strings.Join(have, "\n") != c.want {
			t.Errorf("%s: have\n%s\nwant\n%s", c.name, r.YAML, c.want)
		}
	}
}

// TestNamedScript: the script of a named location at the end of try_files serves what has
// no file.
func TestNamedScript(t *testing.T) {
	have := moved(t, "server { listen 80; root /srv; location / { try_files $uri @app; } location @app { fastcgi_pass 127.0.0.1:9000; fastcgi_param SCRIPT_FILENAME $document_root/app.php; } }")
	if !strings.HasSuffix(have, "- backend: php") {
		t.Errorf("have\n%s", have)
	}
}

// TestFieldsTwice: a field that is set twice, as by proxy_params and once more, is set
// once.
func TestFieldsTwice(t *testing.T) {
	have := moved(t, "server { listen 80; location / { proxy_pass http://127.0.0.1:3000; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Real-Ip $remote_addr; add_header X-A a; add_header x-a b; } }")
	if strings.Count(strings.ToLower(have), "x-real-ip:") != 1 || !strings.Contains(have, `response: {set: {x-a: b}}`) {
		t.Errorf("have\n%s", have)
	}
}

// TestUnlogged: access_log off needs nothing where no requests are logged, and counts for
// responses without a backend too.
func TestUnlogged(t *testing.T) {
	have := moved(t, "http { access_log off; server { listen 80; location = /a { access_log off; return 204; } location / { root /srv; access_log off; } } }")
	health := moved(t, "server { listen 80; location = /healthz { access_log off; return 204; } }")
	if !strings.Contains(health, "respond: {status: 204}\n  access_log: false") {
		t.Errorf("have\n%s", health)
	}
	if strings.Contains(have, "#") || strings.Contains(have, "access_log:") {
		t.Errorf("have\n%s", have)
	}
}

// TestValues: values that mkd doesn't take are changed to what it takes, or are comments.
func TestValues(t *testing.T) {
	for _, c := range []struct{ server, want string }{
		{`location / { proxy_pass http://127.0.0.1:3000; proxy_read_timeout 7d; }`, "proxy_read_timeout 7d; differs: 24h are the most"},
		{`location / { proxy_pass http://127.0.0.1:3000; proxy_set_header Host $host:8080; }`, "proxy_set_header Host $host:8080; isn't moved"},
		{`location / { proxy_pass http://127.0.0.1:3000; proxy_set_header Transfer-Encoding ""; }`, "- backend: app"},
		{`location / { root /srv; auth_basic 'My "áreas"'; auth_basic_user_file /srv/users; }`, "realm: My reas"},
		{`location / { root /srv; try_files $uri /index.php; }`, "try_files $uri /index.php; differs: no location runs /index.php"},
		{`location / { root /srv; if (!-e $request_filename) { rewrite ^ /index.php; } }`, "differs: no location runs /index.php"},
		{`location / { root /srv; if (!-e $request_filename) { rewrite ^ /a.html; } } location = /a.html { root /srv; }`, "differs: nginx serves /a.html by a location of its own"},
		{`location / { rewrite ^/a /b break; proxy_pass http://127.0.0.1:3000$request_uri; }`, "- backend: app\n  raw_path: true"},
		{`location / { root /srv; rewrite ^/a "/b c" last; }`, `rewrite ^/a "/b c" last; isn't moved`},
		{`location / { root /srv; if ($http_host = "a.org:80") { return 403; } }`, `{...} isn't moved`},
		{`location / { root /srv; if ($http_transfer_encoding = chunked) { return 411; } }`, `{...} isn't moved`},
	} {
		if have := moved(t, "server { listen 80; "+c.server+" }"); !strings.Contains(have, c.want) {
			t.Errorf("have\n%s\nwant %s", have, c.want)
		}
	}
	servers := "upstream php { server 10.0.0.1:9000; server 10.0.0.1:9000; server 10.0.0.2:9000 fail_timeout=9h; }\n" +
		"server { listen 80; send_timeout 30d; keepalive_timeout 2y; location / { root /srv; fastcgi_pass php; } }"
	file := filepath.Join(t.TempDir(), "nginx.conf")
	if err := os.WriteFile(file, []byte(servers), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Nginx(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`addresses: ["10.0.0.1:9000", "10.0.0.2:9000"]`, "fail_timeout: 1h", "write_timeout: 24h", "idle_timeout: 8760h"} {
		if !strings.Contains(string(r.YAML), want) {
			t.Errorf("have\n%s\nwant %s", r.YAML, want)
		}
	}
}
