//go:build long

package cmd

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mkd/internal/testserver/phpfpm"
)

// TestLongMigratedSites sends the same requests to nginx and to mkd with what mkd
// migrate made of nginx's configuration: the responses are the same, or
// docs/moving.md has the difference and its reason.
func TestLongMigratedSites(t *testing.T) {
	fpm := phpfpm.Start(t, 2)
	app := startApp(t)
	differences := readDifferences(t)
	for _, name := range migratedSites(t) {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "site") // sockets have short paths
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			s := layMigratedSite(t, name, dir)
			s.conf = strings.NewReplacer("unix:/run/php/php-fpm.sock", "unix:"+fpm.Address, "127.0.0.1:3000", app.address, "127.0.0.1:3001", startApp(t).address, "unix:/run/gunicorn.sock", "unix:"+app.socket).Replace(s.conf)
			nginx, mkd := s.startNginx(t), s.startMkd(t)
			for _, request := range readRequests(t, name) {
				theirs, ours := nginx.ask(t, request), mkd.ask(t, request)
				for _, what := range theirs.differ(ours) {
					if !differences.explain(name, request, what, theirs.show(what), ours.show(what)) {
						t.Errorf("%s\n%s of nginx: %q\n%s of mkd:   %q", request, what, theirs.show(what), what, ours.show(what))
					}
				}
			}
		})
	}
	differences.unused(t)
}

// app is a server that shows the requests that it gets.
type app struct{ address, socket string }

func startApp(t *testing.T) app {
	t.Helper()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", "http")
		var status int
		switch {
		case r.Header.Get("Upgrade") == "websocket":
			echo(w)
			return
		case strings.HasSuffix(r.URL.Path, "/redirect"):
			http.Redirect(w, r, "http://"+r.Host+"/target", http.StatusFound)
			return
		}
		if at := strings.Index(r.URL.Path, "/status/"); at >= 0 {
			fmt.Sscan(r.URL.Path[at+len("/status/"):], &status)
			w.WriteHeader(status)
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s of %s\n", r.Method, r.RequestURI, r.Host)
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Content-Type"} {
			fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header.Values(name), ", "))
		}
		w.Write(body)
	})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	local := &http.Server{Handler: handler}
	go local.Serve(l)
	t.Cleanup(func() { local.Close() })
	return app{server.Listener.Addr().String(), socket}
}

// echo is a WebSocket, but for its frames.
func echo(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	rw.Flush()
	line, _ := rw.ReadString('\n')
	fmt.Fprint(rw, "echo "+line)
	rw.Flush()
}

// peer is a server under test, at the ports in place of 80 and 443.
type peer struct{ plain, secure string }

// withPorts returns the configuration of nginx with ports of this machine's.
func (s migratedSite) withPorts(t *testing.T) (conf string, p peer) {
	t.Helper()
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	conf = regexp.MustCompile(`(?m)^\s*listen \[::\].*\n`).ReplaceAllString(s.conf, "")
	conf = regexp.MustCompile(`listen 80\b`).ReplaceAllString(conf, "listen 127.0.0.1:"+ports[0])
	conf = regexp.MustCompile(`listen 443\b`).ReplaceAllString(conf, "listen 127.0.0.1:"+ports[1])
	p = peer{plain: "127.0.0.1:" + ports[0]}
	if strings.Contains(conf, ports[1]) {
		p.secure = "127.0.0.1:" + ports[1]
	}
	return conf, p
}

func (s migratedSite) startNginx(t *testing.T) peer {
	t.Helper()
	conf, p := s.withPorts(t)
	conf = fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
%[3]s
events {}
http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	access_log off;
	client_body_temp_path %[1]s/body; fastcgi_temp_path %[1]s/fastcgi; proxy_temp_path %[1]s/proxy; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
%[2]s
}
`, s.dir, strings.ReplaceAll(conf, "/var/log/nginx", s.dir), map[bool]string{true: "user www-data;"}[os.Geteuid() == 0])
	for _, name := range []string{"fastcgi_params", "mime.types"} {
		text, err := os.ReadFile("/etc/nginx/" + name)
		if err != nil {
			t.Fatalf("install nginx: %v", err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(s.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	s.start(t, p, "nginx", "-c", file, "-e", "stderr")
	return p
}

func (s migratedSite) startMkd(t *testing.T) peer {
	t.Helper()
	var p peer
	s.conf, p = s.withPorts(t)
	config := s.migrate(t)
	bin, _ := binaries()
	s.start(t, p, filepath.Join(bin, "mkd"), "run", "--config", config)
	return p
}

// start runs a server until the end of the test, and waits until it accepts
// connections.
func (s migratedSite) start(t *testing.T, p peer, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var log strings.Builder
	cmd.Stderr, cmd.Stdout = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(name), log.String())
		}
	})
	for _, address := range []string{p.plain, p.secure} {
		for deadline := time.Now().Add(20 * time.Second); address != ""; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s doesn't listen: %v", name, err)
			}
		}
	}
}

// readRequests returns the requests of a site: a method and a URL, and behind bars
// header fields, and a body, which has no colon.
func readRequests(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../migrate/testdata", name, "requests.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 20 {
		t.Errorf("%s has %d requests", name, len(lines))
	}
	return lines
}

// seen is what a client sees of a response.
type seen struct {
	status string
	fields http.Header
	body   string
}

// matter are the header fields that are compared.
var matter = []string{"Content-Type", "Location", "Cache-Control", "Content-Encoding", "Content-Range", "WWW-Authenticate", "Set-Cookie", "Allow", "Upgrade",
	"X-Powered-By", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "X-Permitted-Cross-Domain-Policies", "X-Robots-Tag"}

// ask sends a request.
func (p peer) ask(t *testing.T, request string) seen {
	t.Helper()
	parts := strings.Split(request, " | ")
	method, url, _ := strings.Cut(parts[0], " ")
	body := ""
	fields := http.Header{}
	for _, part := range parts[1:] {
		if name, value, ok := strings.Cut(part, ": "); ok {
			fields.Set(name, value)
		} else {
			body = part
		}
	}
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = fields
	transport := &http.Transport{
		DisableCompression: true,
		DisableKeepAlives:  fields.Get("Upgrade") == "",
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to := p.plain
			if strings.HasSuffix(address, ":443") {
				to = p.secure
			}
			return new(net.Dialer).DialContext(ctx, "tcp", to)
		},
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	resp, err := transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return seen{status: "no response: " + err.Error()}
	}
	defer resp.Body.Close()
	s := seen{status: fmt.Sprint(resp.StatusCode), fields: resp.Header}
	if tunnel, ok := resp.Body.(io.ReadWriter); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		fmt.Fprintln(tunnel, "hello")
		s.body, _ = bufio.NewReader(tunnel).ReadString('\n')
		return s
	}
	in := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if in, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(in)
	if err != nil {
		s.body = "broken: " + err.Error()
		return s
	}
	s.body = string(text)
	if to, err := r.URL.Parse(resp.Header.Get("Location")); err == nil && resp.Header.Get("Location") != "" {
		for _, address := range []string{p.plain, p.secure} { // nginx may name its own port
			if _, port, err := net.SplitHostPort(address); err == nil && to.Port() == port {
				to.Host = to.Hostname()
			}
		}
		s.fields.Set("Location", to.String())
	}
	return s
}

// differ returns what two responses differ in.
func (s seen) differ(other seen) (what []string) {
	for _, name := range append([]string{"status", "from", "body"}, matter...) {
		if s.show(name) == other.show(name) {
			continue
		}
		what = append(what, name)
		if name == "status" || name == "from" {
			return what // all else differs with it
		}
	}
	return what
}

// show returns a part of a response. The body of a server's own errors and redirects
// is only for people.
func (s seen) show(what string) string {
	own := s.status >= "300" && s.fields.Get("X-App") == "" && s.fields.Get("Content-Range") == ""
	switch what {
	case "status":
		return s.status
	case "body":
		if own {
			return ""
		}
		return s.body
	case "from":
		switch {
		case s.fields.Get("X-App") != "":
			return s.fields.Get("X-App")
		case own:
			return "mkd" // or nginx: the server itself
		}
		return "a file"
	case "Content-Type":
		if own {
			return ""
		}
	}
	return strings.Join(s.fields.Values(what), ", ")
}

// differences are the rows of the table in docs/moving.md.
type differences struct{ rows []*difference }

type difference struct {
	site, request, what, nginx, mkd string
	used                            bool
}

func readDifferences(t *testing.T) differences {
	t.Helper()
	page, err := os.ReadFile("../docs/moving.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "<!-- differences -->\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var d differences
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 6 || cells[5] == "" {
			t.Fatalf("docs/moving.md: the row has %d cells: %s", len(cells), line)
		}
		for i := range cells {
			if cells[i] = strings.Trim(strings.ReplaceAll(cells[i], `\|`, "|"), "`"); cells[i] == "none" {
				cells[i] = ""
			}
		}
		d.rows = append(d.rows, &difference{site: cells[0], request: cells[1], what: cells[2], nginx: cells[3], mkd: cells[4]})
	}
	return d
}

// explain reports whether the table has a difference.
func (d differences) explain(site, request, what, nginx, mkd string) bool {
	for _, r := range d.rows {
		if (r.site == "all" || slices.Contains(strings.Split(r.site, ", "), site)) && matchesCell(r.request, request) && slices.Contains(strings.Split(r.what, ", "), what) &&
			matchesCell(r.nginx, nginx) && matchesCell(r.mkd, mkd) {
			r.used = true
			return true
		}
	}
	return false
}

// matchesCell compares a text with a cell, in which ... is any text, and a blank any
// space.
func matchesCell(cell, text string) bool {
	text = strings.Join(strings.Fields(text), " ")
	parts := strings.Split(cell, "...")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text)
}

// unused finds rows that no request shows.
func (d differences) unused(t *testing.T) {
	for _, r := range d.rows {
		if !r.used {
			t.Errorf("docs/moving.md: nothing differs so: %+v", *r)
		}
	}
}
