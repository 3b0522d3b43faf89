package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startServer runs a program until the test ends. Its output is logged if the test
// failed.
func startServer(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		stop := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		stop.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, output.Bytes())
		}
	})
}

// startNginxProxy starts an nginx with locations, beside one of which everything is
// forwarded to an upstream, and returns its address. Its files are in the folder html.
func startNginxProxy(t *testing.T, upstream, locations string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), os.Mkdir(filepath.Join(dir, "html"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "html", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	address := l.Addr().String()
	conf := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr crit;
%[5]s
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; fastcgi_temp_path %[1]s/fastcgi; proxy_temp_path %[1]s/proxy; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		root %[1]s/html;
		port_in_redirect off;
		proxy_http_version 1.1;
		%[4]s
		location / {
			proxy_pass %[3]s;
			proxy_set_header Host $http_host;
		}
	}
}
`, dir, address, upstream, locations, map[bool]string{true: "user www-data;"}[os.Geteuid() == 0])
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	cmd := exec.Command(program, "-c", file, "-e", "stderr")
	cmd.ExtraFiles, cmd.Env = []*os.File{socket}, append(os.Environ(), "NGINX=3;") // as in an upgrade, it takes the socket
	startServer(t, cmd)
	return address
}

// statusesOf sends bytes, and returns the statuses of the responses, and of those
// that come from the upstream what it saw.
func statusesOf(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(conn, request)
	var all []string
	br := bufio.NewReader(conn)
	for {
		method := "GET"
		if strings.HasPrefix(request, "HEAD ") && len(all) == 0 {
			method = "HEAD"
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				all = append(all, "waits")
			}
			return strings.Join(all, ", ")
		}
		body, _ := io.ReadAll(resp.Body)
		one := fmt.Sprint(resp.StatusCode)
		if resp.Header.Get("X-Upstream") != "" {
			one += " " + string(body)
		}
		all = append(all, strings.TrimSpace(one))
	}
}

// TestSameAsNginx sends requests to mkd and nginx, side by side, each with
// another one behind it: the responses and what the upstream sees are the same, or
// the table has the difference and its reason.
func TestSameAsNginx(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Upstream", "yes")
		fmt.Fprintf(w, "%s %s of %s %q", r.Method, r.RequestURI, r.Host, body)
	}))
	defer upstream.Close()
	nginx := startNginxProxy(t, upstream.URL, "", nil)
	p, _ := start(t, load(t, `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
backends:
  api: {http: {upstreams: [{url: `+upstream.URL+`}]}}
routes:
  - backend: api
`))
	const end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for _, c := range nginxTable {
		request := strings.NewReplacer("\\r", "\r", "\\n", "\n", "\\t", "\t", "\\0", "\x00").Replace(c.request)
		wantNginx, wantMkd := c.nginx, c.mkd
		if wantMkd == "" {
			wantMkd = wantNginx
		} else if c.why == "" {
			t.Errorf("%s: the difference has no reason", c.request)
		}
		if have := statusesOf(t, nginx, request+end); have != wantNginx {
			t.Errorf("%s\nnginx: %s\nwant:  %s", c.request, have, wantNginx)
		}
		have := strings.ReplaceAll(statusesOf(t, p.Addr("web").String(), request+end), strings.TrimPrefix(upstream.URL, "http://"), "UPSTREAM")
		if have != wantMkd {
			t.Errorf("%s\nmkd:   %s\nwant:  %s", c.request, have, wantMkd)
		}
	}
}
