package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// early has all ways of a response that comes before the end of the request's
// body. /admin counts its requests.
func early(t *testing.T) (p *Daemon, admin *atomic.Int64) {
	admin = new(atomic.Int64)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin" {
			admin.Add(1)
		}
		w.Header().Set("Connection", "close") // otherwise it waits for the body
		switch r.URL.Path {
		case "/page":
			io.WriteString(w, "a page")
		case "/accel":
			w.Header().Set("X-Accel-Redirect", "/protected/a.txt")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(upstream.Close)
	f := startFPM(t, 2, map[string]string{"index.php": `<?php http_response_code(403); header('Content-Length: 2'); echo 'no'; flush();`},
		"php_admin_flag[enable_post_data_reading] = off", "php_admin_value[output_buffering] = 0")
	script := onHTTP(t, `$ARCANGELO_USERSPACE = ['on_http' => fn ($r) => 'done'];`)
	files := filesOf(t, map[string]string{"a.txt": "a", "users": "alice:$2y$05$1P4Ss6TQTOvyJjOxP7RNouVDBO.YLzGnOTw8NQfd1y3xcmhCEYr5i\n"})
	p, _ = allListeners(t, `
backends:
  files: {files: {root: `+files+`}}
  api: {http: {upstreams: [{url: `+upstream.URL+`}], send_file: {root: `+files+`, prefix: /protected}}}
  buffered: {http: {upstreams: [{url: `+upstream.URL+`}], buffer: true}}
  fpm: {fastcgi: {addresses: ["unix:`+f.dir+`/s"], root: `+f.public+`, try: [/index.php], stream_body: true}}
  worker: {php: {script: `+script+`, workers: {min: 1, max: 1}}}
routes:
  - {match: {paths: [/a.txt]}, backend: files}
  - {match: {paths: [/redirect]}, redirect: {to: "https://{host}/x"}}
  - {match: {paths: [/respond]}, respond: {status: 410}}
  - {match: {paths: [/small]}, max_body: 10B, backend: api}
  - {match: {paths: [/rare]}, rate_limit: {rate: 0.001, burst: 1, by: all}, respond: {status: 429}}
  - {match: {paths: [/fpm]}, backend: fpm}
  - {match: {paths: [/worker]}, backend: worker}
  - {match: {paths: [/basic]}, auth: {basic: {users_file: `+files+`/users}}, backend: api}
  - {match: {paths: [/forward]}, auth: {forward: {url: `+upstream.URL+`/denied}}, backend: api}
  - {match: {paths: [/intercepted]}, error_pages: {pages: {403: /page}, backend: api, intercept: true}, backend: api}
  - {match: {paths: [/rewritten]}, rewrite: {path: /early}, compress: true, cors: {origins: ["*"]}, backend: api}
  - {match: {paths: [/buffered]}, max_body: 10B, error_pages: {pages: {413: /page}, backend: api}, backend: buffered}
  - {match: {paths: [/early, /accel, /admin]}, backend: api}
`)
	return p, admin
}

// TestRestOfBodyIsNoRequest has a response written before the request's body has ended, in
// every way: the client receives it, it has Connection: close, and the connection
// ends without a reset. What comes afterwards is never handled as a request.
func TestRestOfBodyIsNoRequest(t *testing.T) {
	t.Parallel()
	p, admin := early(t)
	const form = "Content-Type: multipart/form-data; boundary=x\r\n"
	for _, c := range []struct {
		name, target, fields, first string
		status                      int
	}{
		{"files", "/a.txt", "", "", 405},
		{"redirect", "/redirect", "", "", 302},
		{"respond", "/respond", "", "", 410},
		{"no route", "/nowhere", "", "", 404},
		{"malformed path", "/%zz", "", "", 400},
		{"max_body", "/small", "", "0123456789abcdef", 413},
		{"rate_limit", "/rare", "", "", 429},
		{"upstream", "/early", "", "the first bytes", 403},
		{"fastcgi", "/fpm", "", "the first bytes", 403},
		{"basic", "/basic", "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n", "", 401},
		{"forward", "/forward", "", "", 403},
		{"a page for an error of an upstream", "/intercepted", "", "the first bytes", 403},
		{"rewrite and compress", "/rewritten", "Accept-Encoding: gzip\r\nOrigin: https://x.test\r\n", "the first bytes", 403},
		{"buffer", "/buffered", "", "0123456789abcdef", 413},
		{"send_file", "/accel", "", "the first bytes", 200},
		{"worker", "/worker", form, "--x\r\nno field\r\n\r\nabc\r\n--x", 400},
	} {
		for _, framing := range []string{"Content-Length", "Transfer-Encoding"} {
			for _, listener := range []string{"web", "tls"} {
				t.Run(c.name+" "+framing+" "+listener, func(t *testing.T) {
					conn := dialListener(t, p, listener)
					defer conn.Close()
					conn.SetDeadline(time.Now().Add(20 * time.Second))
					fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s", c.target, c.fields)
					if framing == "Content-Length" {
						fmt.Fprintf(conn, "Content-Length: 200000\r\n\r\n%s", c.first)
					} else {
						fmt.Fprintf(conn, "Transfer-Encoding: chunked\r\n\r\n%s", chunkOf(c.first))
					}
					br := bufio.NewReader(conn)
					resp, err := http.ReadResponse(br, nil)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						t.Errorf("the response's body: %v", err)
					}
					if c.name == "fastcgi" && framing == "Transfer-Encoding" {
						c.status = 411 // it is streamed, and a script needs its length
					}
					if resp.StatusCode != c.status || !resp.Close {
						t.Errorf("%s, close %v; want %d and true", resp.Status, resp.Close, c.status)
					}
					if _, err := io.WriteString(conn, "POST /admin HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
						t.Errorf("the connection was reset: %v", err)
					}
					if c.name == "fastcgi" { // PHP ends a request when it has the whole body
						conn.(interface{ CloseWrite() error }).CloseWrite()
					}
					if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
						t.Errorf("after the response came %q, %v", rest, err)
					}
					if admin.Load() != 0 {
						t.Error("the rest of a body was handled as a request")
					}
				})
			}
		}
	}
	// In a message the body is complete or malformed.
	response, err := client(t, p, "app").Send(t.Context(), []byte("POST /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPOST /admin HTTP/1.1\r\nHost: x\r\n\r\n"))
	if err != nil || status(t, response) != 400 || admin.Load() != 0 {
		t.Errorf("in a message: %.50q, %v", response, err)
	}
}

func dialListener(t *testing.T, p *Daemon, listener string) net.Conn {
	t.Helper()
	if listener == "tls" {
		return dialTLS(t, p, "http/1.1")
	}
	conn, err := net.Dial("tcp", p.Addr(listener).String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSmallBodyThatArrived keeps the connection for a response to a request whose
// body has come with it, though nobody reads it.
func TestSmallBodyThatArrived(t *testing.T) {
	p, _ := early(t)
	for _, listener := range []string{"web", "tls"} {
		conn := dialListener(t, p, listener)
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		br := bufio.NewReader(conn)
		for _, c := range []struct {
			target string
			status int
		}{{"/a.txt", 405}, {"/redirect", 302}, {"/respond", 410}, {"/nowhere", 404}, {"/early", 403}, {"/fpm", 403}, {"/worker", 200},
			{"/basic", 401}, {"/forward", 403}, {"/intercepted", 403}, {"/rewritten", 403}, {"/accel", 200}} {
			for _, body := range []string{"Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"} {
				io.WriteString(conn, "POST "+c.target+" HTTP/1.1\r\nHost: x\r\n"+body)
				resp, err := http.ReadResponse(br, nil)
				if c.target == "/fpm" && strings.HasPrefix(body, "T") {
					c.status = 411
				}
				if err != nil {
					t.Fatalf("%s %s %.20q: %v", listener, c.target, body, err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != c.status || resp.Close {
					t.Errorf("%s %s %.20q: %s, close %v, %v", listener, c.target, body, resp.Status, resp.Close, err)
				}
			}
		}
	}
}

// uploaders are programs that send the file in their first argument to the URL in
// their second, and print the status of the response.
var uploaders = map[string][]string{
	"curl":         {"curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "--data-binary", "@FILE", "URL"},
	"curl chunked": {"curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "-H", "Transfer-Encoding: chunked", "--data-binary", "@FILE", "URL"},
	"curl waits":   {"curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue", "--data-binary", "@FILE", "URL"},
	"curl h2":      {"curl", "-sSk", "--http2", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@FILE", "TLS"},
	"curl h1 TLS":  {"curl", "-sSk", "--http1.1", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "--data-binary", "@FILE", "TLS"},
	"Python": {"python3", "-c", `
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[2], open(sys.argv[1], "rb").read()).status)
except urllib.error.HTTPError as e:
    print(e.code)`, "FILE", "URL"},
	"Node": {"node", "-e", `
const body = require('fs').readFileSync(process.argv[1]);
const r = require('http').request(process.argv[2], {method: 'POST', headers: {'Content-Length': body.length}}, m => { process.stdout.write(String(m.statusCode)); m.resume(); });
r.on('error', e => { console.error(e); process.exit(1); });
r.end(body);`, "FILE", "URL"},
	"PHP": {"php", "-r", `
$context = stream_context_create(['http' => ['method' => 'POST', 'content' => file_get_contents($argv[1]), 'ignore_errors' => true]]);
file_get_contents($argv[2], false, $context);
echo explode(' ', $http_response_header[0])[1];`, "FILE", "URL"},
}

// TestUploadersSeeTheirRefusal sends 20 MB to a route that takes 10 bytes, and to a file,
// with real clients, most of which send all before they read: each receives its 413 and its
// 405, as of nginx.
func TestUploadersSeeTheirRefusal(t *testing.T) {
	p, _ := early(t)
	nginx := startNginxProxy(t, "http://127.0.0.1:1", "location /small { client_max_body_size 10; proxy_pass http://127.0.0.1:1; }\nlocation /a.txt { client_max_body_size 0; }", map[string]string{"a.txt": "a"})
	file := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(file, bytes.Repeat([]byte("0123456789"), 2<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range uploaders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct{ target, status string }{{"/small", "413"}, {"/small", "413"}, {"/a.txt", "405"}} {
				upload(t, args, file, "http://"+p.Addr("web").String()+c.target, "https://"+p.Addr("tls").String()+c.target, c.status)
			}
			if slices.Contains(args, "TLS") {
				return
			}
			for target, status := range map[string]string{"/small": "413", "/a.txt": "405"} {
				upload(t, args, file, "http://"+nginx+target, "", status)
			}
		})
	}
}

// upload sends a file with a program, and fails the test if it doesn't print the status.
func upload(t *testing.T, args []string, file, url, tls, status string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0])
	values := strings.NewReplacer("FILE", file, "URL", url, "TLS", tls)
	for _, a := range args[1:] {
		if len(a) < 6 {
			a = values.Replace(a)
		}
		cmd.Args = append(cmd.Args, a)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != status {
		t.Errorf("%s %s got %q, %v: %s", args[0], url, got, err, &stderr)
	}
}
