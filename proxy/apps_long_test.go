//go:build linux && long

package proxy

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// copyPackage copies the site of a Debian package to a folder, without the files
// that are excluded. It has to be a copy, since packages have absolute symlinks.
// PHP may write to the folders writable, which are made if they don't exist.
func copyPackage(t *testing.T, needs, from, to string, excluded, writable []string) {
	t.Helper()
	if !exists(from) {
		t.Fatalf("%s isn't there: run make %s", from, needs)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	pack := exec.Command("tar", "-C", from, "-ch")
	for _, name := range excluded {
		pack.Args = append(pack.Args, "--exclude=./"+name)
	}
	pack.Args = append(pack.Args, ".")
	unpack := exec.Command("tar", "-C", to, "-x", "--no-same-owner", "--no-same-permissions")
	var errs bytes.Buffer
	pack.Stderr, unpack.Stderr = &errs, &errs
	pipe, err := pack.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	unpack.Stdin = pipe
	if err := pack.Start(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Run(); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	if err := pack.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	for _, name := range writable {
		folder := filepath.Join(to, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		giveTo(t, "www-data", folder)
	}
}

// giveTo makes a user the owner of a folder, if only that user may write to it.
func giveTo(t *testing.T, name, folder string) {
	t.Helper()
	if os.Geteuid() != 0 { // everything runs as one user
		return
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "-R", u.Uid, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// startMariaDB starts a database server of its own on a socket, and returns it.
func startMariaDB(t *testing.T, dir string) (socket string) {
	t.Helper()
	data := filepath.Join(dir, "db")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	as := "--user=mysql"
	if os.Geteuid() != 0 {
		as = "--skip-name-resolve"
	}
	giveTo(t, "mysql", data)
	install := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", as)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v: %s", err, out)
	}
	socket = filepath.Join(data, "s")
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		server = "/usr/sbin/mariadbd"
	}
	cmd := exec.Command(server, "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking", "--pid-file="+filepath.Join(data, "pid"), as)
	startServer(t, cmd)
	await(t, "MariaDB serves", func() bool {
		return exec.Command("mariadb", "--no-defaults", "--socket="+socket, "-uroot", "-e", "CREATE DATABASE IF NOT EXISTS site").Run() == nil
	})
	return socket
}

// startNginx starts nginx with a site on PHP-FPM, as its documentation shows it, and
// returns a way to it.
func startNginx(t *testing.T, f *fpm) func(t *testing.T, p *Daemon, request string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	conf := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr;
%[4]s
events {}
http {
	include /etc/nginx/mime.types;
	access_log off;
	client_body_temp_path %[1]s/body; fastcgi_temp_path %[1]s/fastcgi; proxy_temp_path %[1]s/proxy; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]s;
		server_name wiki.example.org;
		root %[3]s;
		index index.php index.html;
		client_max_body_size 100m;
		absolute_redirect off;
		location / { try_files $uri $uri/ /index.php?$args; }
		location ~ \.php(/|$) {
			fastcgi_split_path_info ^(.+?\.php)(/.*)$;
			try_files $fastcgi_script_name =404;
			include /etc/nginx/fastcgi_params;
			fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
			fastcgi_param DOCUMENT_ROOT $realpath_root;
			fastcgi_pass unix:%[5]s/s;
		}
	}
}
`, dir, port, f.public, map[bool]string{true: "user www-data;"}[os.Geteuid() == 0], f.dir)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	startServer(t, exec.Command("nginx", "-c", file, "-e", "stderr"))
	address := "127.0.0.1:" + port
	await(t, "nginx serves", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return func(t *testing.T, _ *Daemon, request string) []byte { return sendAndClose(t, address, request) }
}

// sendAndClose sends a request by HTTP, and returns its response in bytes.
func sendAndClose(t *testing.T, address, request string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	line, rest, _ := strings.Cut(request, "\r\n")
	go io.WriteString(conn, line+"\r\nConnection: close\r\n"+rest)
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameAsNginx compares what a visitor without a session sees of a site with what
// nginx shows of it.
func sameAsNginx(t *testing.T, p *Daemon, f *fpm, targets []string) {
	t.Helper()
	nginx := startNginx(t, f)
	type seen struct {
		status         int
		location, kind string
	}
	look := func(send func(*testing.T, *Daemon, string) []byte, target string) seen {
		v := &visitor{t, p, send, map[string]string{}}
		resp, _ := v.do("GET", target, "", "")
		location := resp.Header.Get("Location")
		for _, origin := range []string{"http://wiki.example.org", "https://wiki.example.org"} {
			location = strings.TrimPrefix(location, origin)
		}
		location = strings.ReplaceAll(location, "=https%3A", "=http%3A")
		kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		kind = strings.Replace(kind, "application/javascript", "text/javascript", 1) // RFC 9239
		if resp.StatusCode == 403 {
			resp.StatusCode = 404 // of a folder: mkd doesn't reveal that it is there
		}
		if resp.StatusCode >= 300 {
			kind = "" // of pages that servers write themselves
		}
		return seen{resp.StatusCode, location, kind}
	}
	for _, target := range targets {
		want := look(nginx, target)
		t.Logf("nginx: %s: %+v", target, want)
		for _, way := range ways {
			if have := look(way.send, target); have != want {
				t.Errorf("%s: %s: %+v, with nginx %+v", way.name, target, have, want)
			}
		}
	}
}

// form returns a form with a file (multipart/form-data), and its Content-Type.
func form(t *testing.T, fields map[string]string, field, file string, content []byte) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile(field, file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

// want fails the test unless a response has the status.
func (v *visitor) want(what string, resp *http.Response, body string, status int) {
	v.t.Helper()
	if resp.StatusCode != status {
		v.t.Fatalf("%s: %s, want %s: %q\n%.3000s", what, resp.Status, strconv.Itoa(status), resp.Header, body)
	}
}

var (
	inputTag  = regexp.MustCompile(`<input\b[^>]*>`)
	attribute = regexp.MustCompile(`\b(type|name|value)=(?:"([^"]*)"|'([^']*)')`)
)

// inputs returns the hidden inputs of a page's forms, however their attributes are
// ordered.
func inputs(page string) url.Values {
	form := url.Values{}
	for _, tag := range inputTag.FindAllString(page, -1) {
		has := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			has[m[1]] = html.UnescapeString(m[2] + m[3])
		}
		if has["type"] == "hidden" && has["name"] != "" {
			form.Set(has["name"], has["value"])
		}
	}
	return form
}

// flat returns a form whose fields have one value each.
func flat(form url.Values) map[string]string {
	fields := map[string]string{}
	for name := range form {
		fields[name] = form.Get(name)
	}
	return fields
}
