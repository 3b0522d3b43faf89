//go:build long

package cmd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mkd/internal/testserver/phpfpm"
)

// webDaemon is a running mkd with an HTTP and an HTTPS listener.
type webDaemon struct {
	*daemon
	plain, secure string // addresses
	log           string // the file that it logs to; "": what nobody reads
}

// startWeb runs mkd until the test ends: /http leads to a server that responds with
// what it was sent, /big to 8 MiB, /deaf to one that reads no
// body, /fpm to PHP-FPM.
func startWeb(t *testing.T, listener, limits string, deafLog bool) *webDaemon {
	t.Helper()
	big := make([]byte, 8<<20)
	ended := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deaf" { // reads nothing
			<-ended
			return
		}
		if r.URL.Path == "/big" {
			w.Header().Set("Content-Length", "8388608")
			w.Write(big)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}))
	t.Cleanup(func() {
		close(ended)
		upstream.Close()
	})
	fpm := phpfpm.Start(t, 2)
	fpm.Write(t, "public/index.php", "<?php readfile('php://input');")
	d, cmd := newDaemon(t, daemonOptions{plain: true})
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	w := &webDaemon{daemon: d, plain: "127.0.0.1:" + ports[0], secure: "127.0.0.1:" + ports[1]}
	config := fmt.Sprintf(`
listeners:
  app: {megaki: {address: "%s", keys: [server.key]}}
  web: {http: {address: "%s", %s}}
  tls: {https: {address: "%s", hosts: [localhost], tls: {internal: true}, http3: true, %[3]s}}
backends:
  echo: {php: {script: script.php, workers: {min: 1, max: 1}}}
  api: {http: {upstreams: [{url: "%[5]s"}]}}
  fpm: {fastcgi: {addresses: ["unix:%[6]s/s"], root: %[6]s/public, try: [/index.php]}}
routes:
  - {match: {payload: raw}, backend: echo}
  - {match: {paths: [/fpm]}, backend: fpm}
  - {match: {paths: [/http, /big, /deaf]}, backend: api}
storage: storage
limits: {%[7]s}
`, d.address, w.plain, listener, w.secure, upstream.URL, fpm.Dir, limits)
	if err := os.WriteFile(filepath.Join(d.dir, "config.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if deafLog {
		_, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close() })
		cmd.Stderr = in
	} else {
		w.log = filepath.Join(d.dir, "log")
		file, err := os.Create(w.log)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd.Stderr = file
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.process = cmd.Process
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("mkd: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("mkd doesn't end within a minute")
		}
		if log, _ := os.ReadFile(w.log); t.Failed() && len(log) > 0 {
			t.Logf("log:\n%s", log[:min(len(log), 1000)])
		}
	})
	d.await(t)
	return w
}

// quietVisitor posts a little now and then, from an address of its own.
type quietVisitor struct {
	http.Client
	url    string
	took   []time.Duration
	failed []error
}

func newQuietVisitor(w *webDaemon, number byte, path string) *quietVisitor {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialAs(ctx, 10, number, w.plain) }}
	return &quietVisitor{Client: http.Client{Transport: transport, Timeout: 30 * time.Second}, url: "http://" + w.plain + path}
}

func (q *quietVisitor) post() {
	body := strings.Repeat("x", 5000)
	start := time.Now()
	resp, err := q.Post(q.url, "text/plain", strings.NewReader(body))
	if err == nil {
		var got []byte
		got, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && (resp.StatusCode != 200 || string(got) != body) {
			err = fmt.Errorf("%s, %d bytes", resp.Status, len(got))
		}
	}
	if err != nil {
		q.failed = append(q.failed, err)
		return
	}
	q.took = append(q.took, time.Since(start))
}

// greedy is one client with many connections. begin sends something, and the
// connection is then held until mkd closes it or the attack ends; then begins
// another.
func greedy(ctx context.Context, n int, dial func(context.Context) (net.Conn, error), pause time.Duration, begin func(net.Conn) error) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				if c, err := dial(ctx); err == nil {
					stop := context.AfterFunc(ctx, func() { c.Close() })
					if begin(c) == nil {
						io.Copy(io.Discard, c)
					}
					stop()
					c.Close()
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	wg.Wait()
}

// halfPosts sends 250 requests over an HTTP/2 connection, and of each body the
// beginning.
func halfPosts(path string, sent *atomic.Int64) func(net.Conn) error {
	return func(c net.Conn) error {
		io.WriteString(c, http2.ClientPreface)
		f := http2.NewFramer(c, nil)
		f.WriteSettings()
		for i := range uint32(250) {
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			for _, field := range []string{":method POST", ":scheme https", ":authority localhost", ":path " + path, "content-length 60000"} {
				name, value, _ := strings.Cut(field, " ")
				enc.WriteField(hpack.HeaderField{Name: name, Value: value})
			}
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
				return err
			}
			if err := f.WriteData(2*i+1, false, make([]byte, 200)); err != nil {
				return err
			}
			sent.Add(1)
		}
		return nil
	}
}

// TestLongAttacksByHTTP: what one address can do with HTTP and HTTPS, while 20
// clients at other addresses post something ten times a second. None of them may
// fail, and mkd's memory and descriptors stay within bounds.
func TestLongAttacksByHTTP(t *testing.T) {
	var sent atomic.Int64
	plain := func(w *webDaemon) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) { return dialAs(ctx, 9, 9, w.plain) }
	}
	h2 := func(w *webDaemon) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			c, err := dialAs(ctx, 9, 9, w.secure)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			return secure, secure.HandshakeContext(ctx)
		}
	}
	say := func(text string) func(net.Conn) error {
		return func(c net.Conn) error {
			_, err := io.WriteString(c, text)
			return err
		}
	}
	for _, attack := range []struct {
		name     string
		listener string // options of the listeners
		limits   string // the section of config.yaml
		deafLog  bool
		memory   int // MiB that it may take at its peak
		open     int // descriptors that it may take
		run      func(ctx context.Context, w *webDaemon)
		visit    string // what the quiet clients post to; "": /http
		sent     int64  // sent is at least so much at the end
	}{
		{name: "nothing, by HTTP", memory: 32, open: 64, run: func(ctx context.Context, w *webDaemon) { <-ctx.Done() }},
		{name: "HTTP/2, 200 connections with 250 half-sent requests to an HTTP server", memory: 640, open: 450, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 200, h2(w), time.Second, halfPosts("/http", &sent))
		}},
		{name: "HTTP/2, 200 connections with 250 half-sent requests to PHP-FPM", memory: 640, open: 450, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 200, h2(w), time.Second, halfPosts("/fpm", &sent))
		}},
		{name: "1,000 half-sent requests of 60 KB", memory: 192, open: 1300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 1000, plain(w), time.Second, say("POST /fpm HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"+strings.Repeat("x", 59_000)))
		}},
		{name: "1,000 silent connections, of `max_connections: 1000`", listener: "max_connections: 1000", memory: 64, open: 1050, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 1000, plain(w), time.Second, say(""))
		}},
		{name: "3,000 heads of 60 KB that don't end", memory: 320, open: 3300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 3000, plain(w), time.Second, say("GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 60_000)))
		}},
		{name: "500 readers of 8 MiB that read nothing", memory: 256, open: 1300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 500, plain(w), time.Second, func(c net.Conn) error {
				io.WriteString(c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
				<-ctx.Done()
				return ctx.Err()
			})
		}},
		{name: "a flood of refused requests", memory: 64, open: 300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 8, plain(w), 0, say("GET /http HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"))
		}},
		{name: "a flood of requests without a route", memory: 64, open: 300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 8, plain(w), 0, say(strings.Repeat("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 1000)+"GET / HTTP/1.0\r\n\r\n"))
		}},
		{name: "a log that nobody reads", deafLog: true, memory: 64, open: 300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 8, plain(w), 0, say("GET /nowhere HTTP/1.0\r\n\r\n"))
		}},
		{name: "HTTP/2, 1,000 connections with a body of 256 KiB that no backend reads", memory: 560, open: 2300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 1000, h2(w), time.Second, unreadBody(256<<10))
		}},
		{name: "HTTP/3, 1,500 connections with a body of 128 KiB that no backend reads", memory: 400, open: 3300, run: func(ctx context.Context, w *webDaemon) {
			greedyHTTP3(ctx, w, 1500)
		}},
		{name: "3,000 TLS handshakes of 60 KB that don't end", memory: 400, open: 3300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 3000, func(ctx context.Context) (net.Conn, error) { return dialAs(ctx, 9, 9, w.secure) }, time.Second, func(c net.Conn) error {
				_, err := c.Write(longHello(60_000))
				return err
			})
		}},
		{name: "requests with 20,000 fields", memory: 96, open: 300, run: func(ctx context.Context, w *webDaemon) {
			greedy(ctx, 8, plain(w), 0, say("GET /http HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("a:\r\n", 20_000)+"\r\n"))
		}},
		{name: "20 uploads of 50 MB to PHP-FPM that don't end, with `spool: {max_total: 256MiB}`", limits: "spool: {max_total: 256MiB}", memory: 192, open: 300, run: func(ctx context.Context, w *webDaemon) {
			most := "POST /fpm HTTP/1.1\r\nHost: x\r\nContent-Length: 50000001\r\n\r\n" + strings.Repeat("x", 50_000_000)
			greedy(ctx, 20, plain(w), time.Second, say(most))
		}},
		{name: "20 uploads of 50 MB to PHP-FPM at once, and again, with 64 MiB of disk for `spool: {dir: …}`", limits: "spool: {dir: SMALL}", memory: 192, open: 300, visit: "/fpm", sent: 100,
			run: func(ctx context.Context, w *webDaemon) {
				most := "POST /fpm HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + strings.Repeat("x", 50_000_000)
				greedy(ctx, 20, plain(w), 0, func(c net.Conn) error {
					go io.WriteString(c, most)
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						return err
					}
					if resp.StatusCode == http.StatusInsufficientStorage {
						sent.Add(1)
					}
					_, err = io.Copy(io.Discard, resp.Body)
					return cmp.Or(err, io.EOF)
				})
			}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			sent.Store(0)
			w := startWeb(t, attack.listener, strings.ReplaceAll(attack.limits, "SMALL", smallDisk(t, attack.limits)), attack.deafLog)
			visitors := make([]*quietVisitor, 20)
			for i := range visitors {
				visitors[i] = newQuietVisitor(w, byte(i+1), cmp.Or(attack.visit, "/http"))
				visitors[i].post()
			}
			f := figures{mostMemory: attack.memory, mostOpen: attack.open, leastTook: 20 * 20}
			f.before, _ = w.memory(t)
			f.open = w.descriptors(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var attacking, visiting sync.WaitGroup
			attacking.Go(func() { attack.run(ctx, w) })
			quiet, end := context.WithTimeout(t.Context(), 20*time.Second)
			defer end()
			for _, q := range visitors {
				visiting.Go(func() {
					for quiet.Err() == nil {
						q.post()
						select {
						case <-quiet.Done():
						case <-time.After(100 * time.Millisecond):
						}
					}
				})
			}
			f.watch(t, w.daemon)
			visiting.Wait()
			cancel()
			attacking.Wait()
			for i, q := range visitors {
				f.took = append(f.took, q.took...)
				if len(q.failed) > 0 {
					t.Errorf("quiet client %d: %d failures, the first: %v", i, len(q.failed), q.failed[0])
				}
				q.CloseIdleConnections()
			}
			// HTTP/3 connections whose end was lost on the way are closed after 30 s.
			for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) {
				if f.openAfter = w.descriptors(t); f.openAfter <= f.open {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%d descriptors are still open, before there were %d", f.openAfter, f.open)
					break
				}
			}
			f.after, f.peak = w.memory(t)
			logged := int64(0)
			if info, err := os.Stat(cmp.Or(w.log, os.DevNull)); err == nil && info.Mode().IsRegular() {
				logged = info.Size()
			}
			t.Logf("%d of the attack's requests, %d KiB of log", sent.Load(), logged>>10)
			if sent.Load() < attack.sent {
				t.Errorf("%d of the attack's requests, want %d at least", sent.Load(), attack.sent)
			}
			f.check(t, attack.name)
			if logged > 32<<20 {
				t.Errorf("%d MiB were logged", logged>>20)
			}
		})
	}
}

// smallDisk mounts a file system of 64 MiB until the test ends, if limits name SMALL.
func smallDisk(t *testing.T, limits string) string {
	t.Helper()
	if !strings.Contains(limits, "SMALL") {
		return ""
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir, err := os.MkdirTemp("", "mkd-test-") // the test's own has its name in it, with a comma
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(dir, 0), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}
