package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// park is all servers of a run. They listen on loopback, write no access log,
// and have two workers or threads.
type park struct {
	Dir                                                string
	Upstream, NginxHTTP, NginxTLS, CaddyHTTP, CaddyTLS int // ports
	MkdHTTP, MkdTLS, MkdMegaki, MkdRaw, Relay, User    string
	Accept                                             string
	Body                                               string // of the upstream's response

	procs                            []*exec.Cmd
	upstream, nginx, fpm, mkd, relay int // process ids
	accept, caddy                    int // caddy: 0 if it isn't there
	key                              string
}

const bodySize = 64

// The files that are served.
var (
	small = strings.Repeat("a { color: #123456; }\n", 1400/22)
	large = strings.Repeat("0123456789abcdef", 1<<16)
)

func newPark(ctx context.Context, dir string, o *options) (p *park, err error) {
	p = &park{Dir: dir, Body: strings.Repeat("x", bodySize), User: "root"}
	defer func(started *park) {
		if err != nil {
			started.stop()
		}
	}(p)
	var ports [11]int
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	for i, at := range []*int{&p.Upstream, &p.NginxHTTP, &p.NginxTLS, &p.CaddyHTTP, &p.CaddyTLS} {
		*at = ports[i]
	}
	for i, at := range []*string{&p.MkdHTTP, &p.MkdTLS, &p.MkdMegaki, &p.MkdRaw, &p.Relay, &p.Accept} {
		*at = loopback(ports[5+i])
	}
	if os.Getuid() != 0 {
		p.User = ""
	}
	if err := p.files(); err != nil {
		return nil, err
	}
	mkd, err := filepath.Abs(o.mkd)
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, mkd, "keygen", "--out", filepath.Join(dir, "server.key")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkd keygen: %w\n%s", err, out)
	}
	p.key = filepath.Join(dir, "server.key.pub")
	if out, err := exec.CommandContext(ctx, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost", "-keyout", filepath.Join(dir, "tls.key"), "-out", filepath.Join(dir, "tls.crt")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("openssl: %w\n%s", err, out)
	}
	fpm, err := phpFPM()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, errors.New("nginx is missing: install Debian's nginx-light")
		}
	}
	run := []string{mkd, "run", "--config", filepath.Join(dir, "config.yaml")}
	if o.profile != "" {
		run = append(run, "--cpuprofile", o.profile)
	}
	for _, s := range []struct {
		pid  *int
		args []string
		at   string
	}{
		{&p.upstream, []string{nginx, "-p", dir, "-c", filepath.Join(dir, "upstream.conf")}, loopback(p.Upstream)},
		{&p.nginx, []string{nginx, "-p", dir, "-c", filepath.Join(dir, "nginx.conf")}, loopback(p.NginxHTTP)},
		{&p.fpm, []string{fpm, "-F", "-R", "-y", filepath.Join(dir, "fpm.conf")}, "unix:" + filepath.Join(dir, "fpm.sock")},
		{&p.mkd, run, p.MkdHTTP},
		{&p.relay, []string{self, "relay", p.Relay, loopback(p.Upstream)}, p.Relay},
		{&p.accept, []string{self, "accept", p.Accept}, p.Accept},
	} {
		if *s.pid, err = p.start(ctx, s.at, s.args...); err != nil {
			return nil, err
		}
	}
	if o.caddy != "" {
		p.caddy, err = p.start(ctx, loopback(p.CaddyHTTP), o.caddy, "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile"))
	}
	return p, err
}

// start starts a server, and waits until it listens.
func (p *park) start(ctx context.Context, at string, args ...string) (pid int, err error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	log, err := os.Create(filepath.Join(p.Dir, filepath.Base(args[0])+".out"))
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = p.Dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	p.procs = append(p.procs, cmd)
	network, address := "tcp", at
	if path, ok := strings.CutPrefix(at, "unix:"); ok {
		network, address = "unix", path
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
			return cmd.Process.Pid, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			said, _ := os.ReadFile(log.Name())
			return 0, fmt.Errorf("%s doesn't listen on %s: %w\n%s", args[0], at, err, said)
		}
	}
}

// restart stops a server, and starts it anew.
func (p *park) restart(ctx context.Context, pid *int, at string) (err error) {
	i := slices.IndexFunc(p.procs, func(c *exec.Cmd) bool { return c.Process.Pid == *pid })
	old := p.procs[i]
	p.procs = slices.Delete(p.procs, i, i+1)
	old.Process.Signal(syscall.SIGTERM)
	old.Wait()
	*pid, err = p.start(ctx, at, old.Args...)
	return err
}

// stop stops all servers.
func (p *park) stop() {
	for _, cmd := range p.procs {
		cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, cmd := range p.procs {
		cmd.Wait()
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// loopback returns the address of a port on loopback.
func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// phpFPM returns Debian's php-fpm, which has its version in its name.
func phpFPM() (string, error) {
	found, _ := filepath.Glob("/usr/sbin/php-fpm[0-9]*")
	if len(found) == 0 {
		return "", errors.New("php-fpm is missing: install Debian's php-fpm")
	}
	return found[len(found)-1], nil
}

// files writes the configurations, the scripts and the files to serve.
func (p *park) files() error {
	old := time.Now().Add(-time.Hour)
	for name, text := range map[string]string{
		"upstream.conf": `daemon off; worker_processes 1; pid upstream.pid; error_log stderr crit;{{if .User}} user {{.User}};{{end}}
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  server { listen 127.0.0.1:{{.Upstream}}; location / { default_type text/plain; return 200 "{{.Body}}"; } } }
`,
		"nginx.conf": `daemon off; worker_processes 2; pid nginx.pid; error_log stderr crit;{{if .User}} user {{.User}};{{end}}
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; sendfile on; tcp_nopush on;
  upstream app { server 127.0.0.1:{{.Upstream}}; keepalive 64; keepalive_requests 1000000000; }
  upstream fpm { server unix:{{.Dir}}/fpm.sock; keepalive 16; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:{{.NginxHTTP}}; listen 127.0.0.1:{{.NginxTLS}} ssl;
    ssl_certificate tls.crt; ssl_certificate_key tls.key; ssl_protocols TLSv1.3;
    root {{.Dir}}/public;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; }
    location /files/ { }
    location = /fpm { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {{.Dir}}/public/index.php; fastcgi_pass unix:{{.Dir}}/fpm.sock; }
    location = /kept { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {{.Dir}}/public/index.php; fastcgi_pass fpm; fastcgi_keep_conn on; }
  }
}
`,
		"Caddyfile": `{
	admin off
	persist_config off
	auto_https off
}
http://localhost:{{.CaddyHTTP}} {
	reverse_proxy 127.0.0.1:{{.Upstream}}
}
https://localhost:{{.CaddyTLS}} {
	tls tls.crt tls.key
	reverse_proxy 127.0.0.1:{{.Upstream}}
}
`,
		"fpm.conf": `[global]
error_log = {{.Dir}}/fpm.log
[www]
listen = {{.Dir}}/fpm.sock
{{if .User}}user = {{.User}}
{{end}}pm = static
pm.max_children = 16
catch_workers_output = no
`,
		"public/index.php": `<?php echo '{{.Body}}';`,
		"raw.php":          `<?php $ARCANGELO_USERSPACE = ['on_handle' => fn () => arca::$request];`,
		"http.php":         `<?php $ARCANGELO_USERSPACE = ['on_http' => fn ($r) => '{{.Body}}'];`,
		"config.yaml": `listeners:
  web: {http: {address: "{{.MkdHTTP}}"}}
  tls: {https: {address: "{{.MkdTLS}}", tls: {cert: tls.crt, key: tls.key}}}
  app: {megaki: {address: "{{.MkdMegaki}}", keys: [server.key], payload: http, max_connections: 150000, idle_timeout: 2h}}
  raw: {megaki: {address: "{{.MkdRaw}}", keys: [server.key], payload: raw}}
backends:
  app: {http: {upstreams: [{url: "http://127.0.0.1:{{.Upstream}}"}], idle_timeout: 10m}}
  fpm: {fastcgi: {addresses: ["unix:{{.Dir}}/fpm.sock"], root: public, try: [/index.php]}}
  raw: {php: {script: raw.php, workers: {min: 4, max: 4}, max_requests: 0, queue: 20000}}
  worker: {php: {script: http.php, workers: {min: 4, max: 4}, max_requests: 0}}
  files: {files: {root: public}}
routes:
  - {match: {listeners: [raw]}, raw: {}, backend: raw}
  - {match: {paths: [/files/*]}, backend: files}
  - {match: {paths: [/fpm]}, backend: fpm}
  - {match: {paths: [/worker]}, backend: worker}
  - {match: {paths: [/respond]}, respond: {status: 200, body: "{{.Body}}"}}
  - backend: app
log: {access: false}
`,
		"public/files/small.css": small,
		"public/files/large.bin": large,
	} {
		t, err := template.New(name).Parse(text)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, p); err != nil {
			return err
		}
		at := filepath.Join(p.Dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, b.Bytes(), 0o644); err != nil {
			return err
		}
		// The ETag of a file that was written just now is weak, and so a little longer.
		if err := os.Chtimes(at, old, old); err != nil {
			return err
		}
	}
	return os.Chmod(p.Dir, 0o755)
}

// lines are the comparisons.
func (p *park) lines() []*line {
	nginxHTTP, nginxTLS := loopback(p.NginxHTTP), loopback(p.NginxTLS)
	mkd, nginx, both := []int{p.mkd}, []int{p.nginx}, []int{p.nginx, p.fpm}
	http := []*contender{
		{name: "mkd", pids: mkd, dial: overHTTP(p.MkdHTTP, "/", nil, p.Body)}, {name: "nginx", pids: nginx, dial: overHTTP(nginxHTTP, "/", nil, p.Body)},
		{name: "bare relay in Go", pids: []int{p.relay}, dial: overHTTP(p.Relay, "/", nil, p.Body)}}
	https := []*contender{
		{name: "mkd", pids: mkd, dial: overHTTP(p.MkdTLS, "/", tlsConfig, p.Body)}, {name: "nginx", pids: nginx, dial: overHTTP(nginxTLS, "/", tlsConfig, p.Body)}}
	if p.caddy != 0 {
		http = append(http, &contender{name: "Caddy", pids: []int{p.caddy}, dial: overHTTP(loopback(p.CaddyHTTP), "/", nil, p.Body)})
		https = append(https, &contender{name: "Caddy", pids: []int{p.caddy}, dial: overHTTP(loopback(p.CaddyTLS), "/", tlsConfig, p.Body)})
	}
	raw := func(sessions, size int) *contender {
		return &contender{name: fmt.Sprintf("mkd, %d sessions, %d B", sessions, size), pids: mkd,
			dial: overMegaki(p.MkdRaw, p.key, []byte(strings.Repeat("m", size)), strings.Repeat("m", size)), conns: sessions}
	}
	return []*line{
		{"HTTP → upstream", http},
		{"HTTPS → upstream", https},
		{"Megaki → upstream", []*contender{
			{name: "mkd", pids: mkd, dial: overMegaki(p.MkdMegaki, p.key, request("/"), p.Body)}, {name: "nginx, HTTPS", pids: nginx, dial: overHTTP(nginxTLS, "/", tlsConfig, p.Body)}}},
		{"Megaki → PHP-FPM, not kept", []*contender{
			{name: "mkd", pids: mkd, dial: overMegaki(p.MkdMegaki, p.key, request("/fpm"), p.Body)}, {name: "nginx, HTTP", pids: nginx, dial: overHTTP(nginxHTTP, "/fpm", nil, p.Body)}}},
		{"HTTP → PHP-FPM, not kept", []*contender{
			{name: "mkd", pids: mkd, dial: overHTTP(p.MkdHTTP, "/fpm", nil, p.Body)}, {name: "nginx", pids: nginx, dial: overHTTP(nginxHTTP, "/fpm", nil, p.Body)}}},
		{"raw message → PHP worker, with PHP's CPU", []*contender{
			{name: "mkd", pids: mkd, dial: overMegaki(p.MkdRaw, p.key, []byte(p.Body), p.Body)}, {name: "nginx, HTTP, FPM kept", pids: both, dial: overHTTP(nginxHTTP, "/kept", nil, p.Body)}}},
		{"HTTP → on_http, with PHP's CPU", []*contender{
			{name: "mkd", pids: mkd, dial: overHTTP(p.MkdHTTP, "/worker", nil, p.Body)}, {name: "nginx, FPM kept", pids: both, dial: overHTTP(nginxHTTP, "/kept", nil, p.Body)}}},
		{"file of 1.4 KB over HTTP", []*contender{
			{name: "mkd", pids: mkd, dial: overHTTP(p.MkdHTTP, "/files/small.css", nil, small)}, {name: "nginx", pids: nginx, dial: overHTTP(nginxHTTP, "/files/small.css", nil, small)}}},
		{"file of 1 MB over HTTP", []*contender{
			{name: "mkd", pids: mkd, dial: overHTTP(p.MkdHTTP, "/files/large.bin", nil, large)}, {name: "nginx", pids: nginx, dial: overHTTP(nginxHTTP, "/files/large.bin", nil, large)}}},
		{"full handshake", []*contender{
			{name: "mkd, Megaki", pids: mkd, dial: connectMegaki(p.MkdMegaki, p.key, false)}, {name: "nginx, TLS 1.3", pids: nginx, dial: connectTLS(nginxTLS)}}},
		{"resumption", []*contender{
			{name: "mkd, Megaki", pids: mkd, dial: connectMegaki(p.MkdMegaki, p.key, true)}, {name: "bare accept in Go", pids: []int{p.accept}, dial: connectOnly(p.Accept)}}},
		{"raw message, in a crowd", []*contender{raw(1000, bodySize), raw(10, bodySize), raw(10000, bodySize)}},
		{"raw message, by size", []*contender{raw(8, 1<<20), raw(8, bodySize), raw(8, 1<<10), raw(8, 64<<10)}},
	}
}
