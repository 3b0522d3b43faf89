package migrate

import (
	"os"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"

	"mkd/migrate/nginxconf"
)

// FuzzNginx converts any configuration: the result is YAML, and has a comment for each
// directive that it counts as lost.
func FuzzNginx(f *testing.F) {
	files, err := filepath.Glob("testdata/*/nginx.conf")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{
		"server { return; rewrite; if; location; location /a; listen; server_name; root; alias; try_files; expires; add_header; limit_req; client_max_body_size; }",
		"server { location { } location = { } location @a { proxy_pass; } location / { try_files @a; } }",
		"server { location /a { proxy_pass http://; } location /b { proxy_pass http://$x; } location ~ ( { } location ~ (?!a(?!b)) {} }",
		"upstream; upstream a { server; server a weight=x max_fails=x; hash; } server { location / { proxy_pass http://a; fastcgi_pass a; } }",
		"server { listen 80; listen unix:/a; listen [::1]; listen a:b:c; server_name ~a *.b c.* .d *; } server { listen 80; }",
		"http { server { if ($a) { return 301 $1$2; } if ($host ~ a) { } if ($arg_a) { return 200 {b}; } } }",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := nginxconf.Parse("f", text)
		if err != nil {
			return
		}
		result, err := convert("f", all)
		if err != nil {
			return
		}
		var value any
		if err := yaml.Unmarshal(result.YAML, &value); err != nil {
			t.Fatalf("%v\n%s", err, result.YAML)
		}
	})
}
