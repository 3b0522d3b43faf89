package migrate

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*/config.yaml anew")

// TestSites migrates the sites of testdata.
func TestSites(t *testing.T) {
	files, err := filepath.Glob("testdata/*/nginx.conf")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		r, err := Nginx(file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		golden := filepath.Join(filepath.Dir(file), "config.yaml")
		if *update {
			if err := os.WriteFile(golden, r.YAML, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(r.YAML) != string(want) {
			t.Errorf("%s: have\n%s\nwant\n%s", file, r.YAML, want)
		}
	}
}

// TestGuardedFallback migrates named locations that refuse requests: as fallbacks they
// would take all.
func TestGuardedFallback(t *testing.T) {
	for _, guard := range []string{"deny all", "allow 10.0.0.0/8", "auth_basic members", "auth_request /auth", "satisfy any", "limit_req zone=one", "limit_except GET { deny all; }", "if ($request_method = POST) { return 403; }", ""} {
		for _, leads := range []string{"try_files $uri @app;", "error_page 404 = @app;"} {
			file := filepath.Join(t.TempDir(), "nginx.conf")
			line := guard
			if line != "" && !strings.HasSuffix(line, "}") {
				line += ";"
			}
			text := "server { listen 80; server_name a.test; root /srv/a;\nlocation / { " + leads + " }\nlocation @app { " + line + " proxy_pass http://127.0.0.1:3000; }\n}\n"
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := Nginx(file)
			if err != nil {
				t.Fatal(err)
			}
			if has := strings.Contains(string(r.YAML), "\n    fallback: "); has != (guard == "") {
				t.Errorf("%s with %q: a fallback is made: %t\n%s", leads, guard, has, r.YAML)
			}
		}
	}
}

// TestAccessLog migrates access logs that are off in one place and on in another: each site
// keeps its lines, or has none.
func TestAccessLog(t *testing.T) {
	const site = "server { listen 80; server_name SITE; root /srv/SITE; LOG location = /icon { LOCATION } }\n"
	for _, c := range []struct {
		name, http, one, location string
		all                       bool // log: {access: false}
		off                       int  // routes with access_log: false
	}{
		{"off for all", "access_log off;", "", "", true, 0},
		{"on for one site", "access_log off;", "access_log /var/log/one.log;", "", false, 1},
		{"off for a location of it", "access_log off;", "access_log /var/log/one.log;", "access_log off;", false, 2},
		{"off for a site", "access_log /var/log/all.log;", "access_log off;", "", false, 1},
		{"on for all", "", "", "", false, 0},
	} {
		file := filepath.Join(t.TempDir(), "nginx.conf")
		one := strings.NewReplacer("SITE", "one.test", "LOG", c.one, "LOCATION", c.location).Replace(site)
		two := strings.NewReplacer("SITE", "two.test", "LOG", "", "LOCATION", "").Replace(site)
		if err := os.WriteFile(file, []byte("http { "+c.http+"\n"+one+two+"}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Nginx(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(r.YAML)
		if all, off := strings.Contains(text, "log: {access: false}"), strings.Count(text, "access_log: false"); all != c.all || off != c.off {
			t.Errorf("%s: %t, %d\n%s", c.name, all, off, text)
		}
	}
}
