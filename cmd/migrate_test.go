package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// migratedSite is a site of migrate/testdata in a folder of its own.
type migratedSite struct {
	name string
	dir  string
	conf string // of nginx, with paths in dir
}

// migratedSites returns the names of the sites of migrate/testdata.
func migratedSites(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../migrate/testdata/*/nginx.conf")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d sites, %v", len(files), err)
	}
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	return names
}

// script shows what a PHP script receives.
const script = `<?php
header('X-App: php');
foreach (['REQUEST_METHOD', 'SCRIPT_NAME', 'PATH_INFO', 'QUERY_STRING', 'REQUEST_URI', 'HTTPS', 'HTTP_HOST', 'REMOTE_ADDR', 'CONTENT_TYPE',
    'CONTENT_LENGTH', 'APP_ENV', 'front_controller_active'] as $name) {
    echo $name, '=', $_SERVER[$name] ?? '', "\n";
}
echo file_get_contents('php://input');
`

// layMigratedSite makes the files of a site: scripts all have the same text, others
// their path.
func layMigratedSite(t *testing.T, name, dir string) migratedSite {
	t.Helper()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join("../migrate/testdata", name, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, path := range strings.Fields(strings.ReplaceAll(read("site.txt"), "a b.jpg", "a\x01b.jpg")) {
		path = strings.ReplaceAll(path, "\x01", " ")
		text := strings.Repeat("This is "+path+".\n", 60)
		if strings.HasSuffix(path, ".php") {
			text = script
		}
		write(path, text)
	}
	conf := read("nginx.conf")
	for _, cert := range regexp.MustCompile(`/etc/ssl/([\w.-]+)\.crt`).FindAllStringSubmatch(conf, -1) {
		if err := os.MkdirAll(filepath.Join(dir, "etc/ssl"), 0o755); err != nil {
			t.Fatal(err)
		}
		base := filepath.Join(dir, "etc/ssl", cert[1])
		out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
			"-subj", "/CN="+cert[1], "-addext", "subjectAltName=DNS:"+cert[1], "-keyout", base+".key", "-out", base+".crt").CombinedOutput()
		if err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
	}
	write("/etc/nginx/htpasswd", "alice:$2y$05$DgDCaXEJM4VnchLqb4Vp4OgWR/MoQZHw91NKhfC9Xo4SZ1ag2Rciy\n")
	return migratedSite{name: name, dir: dir, conf: strings.NewReplacer("/srv/", dir+"/srv/", "/etc/ssl/", dir+"/etc/ssl/",
		"/etc/nginx/htpasswd", dir+"/etc/nginx/htpasswd").Replace(conf)}
}

// migrate writes the configuration of nginx with other ports, and has mkd migrate it.
// It returns the file.
func (s migratedSite) migrate(t *testing.T, replace ...string) (config string) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	from, config := filepath.Join(s.dir, "mkd.nginx.conf"), filepath.Join(s.dir, "config.yaml")
	if err := os.WriteFile(from, []byte(strings.NewReplacer(replace...).Replace(s.conf)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(bin, "mkd"), "migrate", "nginx", from, "--out", config).CombinedOutput(); err != nil {
		t.Fatalf("mkd migrate: %v\n%s", err, out)
	}
	return config
}

// TestMigratedSitesCheck has mkd check what it made of the sites of migrate/testdata.
func TestMigratedSitesCheck(t *testing.T) {
	for _, name := range migratedSites(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := layMigratedSite(t, name, t.TempDir()).migrate(t)
			bin, _ := binaries()
			if out, err := exec.Command(filepath.Join(bin, "mkd"), "check", "--config", config).CombinedOutput(); err != nil {
				text, _ := os.ReadFile(config)
				t.Errorf("mkd check: %v\n%s\n%s", err, out, text)
			}
		})
	}
}
