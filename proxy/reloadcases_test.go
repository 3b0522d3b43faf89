package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mkd/config"
)

// startReloadable starts a daemon with a configuration that changes.
func startReloadable(t *testing.T, text string) *reloadSite {
	t.Helper()
	s := &reloadSite{t: t, dir: t.TempDir()}
	s.daemon, _ = start(t, s.load(text))
	return s
}

func (s *reloadSite) mustReload(text string) {
	s.t.Helper()
	if err := s.reload(text); err != nil {
		s.t.Fatal(err)
	}
}

// get returns the status and the body of a response of a listener.
func (s *reloadSite) get(listener, path string) (int, string) {
	s.t.Helper()
	resp, err := http.Get("http://" + s.daemon.Addr(listener).String() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// freeAddress returns an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// openTunnel changes to another protocol at a listener.
func (s *reloadSite) openTunnel(listener string) *tunnelConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.daemon.Addr(listener).String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprint(conn, "GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	c := &tunnelConn{conn, bufio.NewReader(conn)}
	if resp, err := http.ReadResponse(c.from, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("a tunnel: %v, %v", resp, err)
	}
	return c
}

type tunnelConn struct {
	net.Conn
	from *bufio.Reader
}

// echo sends a line, and waits until it comes back.
func (c *tunnelConn) echo() error {
	if _, err := io.WriteString(c, "a line\n"); err != nil {
		return err
	}
	line, err := c.from.ReadString('\n')
	if err == nil && line != "a line\n" {
		err = fmt.Errorf("got %q", line)
	}
	return err
}

const twoListeners = `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
  more: {http: {address: "127.0.0.1:0"}}
backends: {up: {http: {upstreams: [{url: "UPSTREAM"}]}}}
routes: [{backend: up}]
`

// withoutMore is twoListeners without one of them.
func withoutMore(text string) string {
	return strings.Replace(text, "  more: {http: {address: \"127.0.0.1:0\"}}\n", "", 1)
}

// TestTunnelOfRemovedListener: WebSockets ended at once when a reload removed their
// listener. They live until shutdown_timeout, or until the daemon stops.
func TestTunnelOfRemovedListener(t *testing.T) {
	text := strings.Replace(twoListeners, "UPSTREAM", tunnelUpstream(t, 0), 1)
	t.Run("daemon stops", func(t *testing.T) {
		s := startReloadable(t, text)
		tunnel := s.openTunnel("more")
		address := s.daemon.Addr("more").String()
		s.mustReload(withoutMore(text))
		// Once the socket is closed, the listener is shutting down.
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("tcp", address)
			if errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if err == nil {
				conn.Close()
			}
			if time.Now().After(deadline) {
				t.Fatal("the removed listener still accepts")
			}
		}
		if err := tunnel.echo(); err != nil {
			t.Errorf("the tunnel after the reload: %v", err)
		}
		if status, body := s.get("web", "/"); status != 200 || body != "upstream 0 " {
			t.Errorf("%d %s", status, body)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than shutdown_timeout
		defer cancel()
		if err := s.daemon.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := tunnel.echo(); err == nil {
			t.Error("the tunnel outlives the daemon")
		}
	})
	t.Run("shutdown_timeout", func(t *testing.T) {
		text := text + "shutdown_timeout: 100ms\n"
		s := startReloadable(t, text)
		tunnel, kept := s.openTunnel("more"), s.openTunnel("web")
		s.mustReload(withoutMore(text))
		if _, err := tunnel.from.ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the tunnel wasn't cut: %v", err)
		}
		if err := kept.echo(); err != nil {
			t.Errorf("the tunnel of the listener that stays: %v", err)
		}
	})
}

// TestReloadChangesAddress: the new socket is open before the old one closes, and a
// request in flight ends.
func TestReloadChangesAddress(t *testing.T) {
	begun, release := make(chan bool, 1), make(chan bool)
	rec := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- true
			<-release
		}
		io.WriteString(w, "ok")
	})
	first, second := freeAddress(t), freeAddress(t)
	text := `
listeners: {web: {http: {address: "` + first + `"}}}
backends: {up: {http: {upstreams: [{url: "` + rec.URL + `"}]}}}
routes: [{backend: up}]
`
	s := startReloadable(t, text)
	slow := make(chan string, 1)
	go func() {
		body, err := read(http.Get("http://" + first + "/slow"))
		slow <- fmt.Sprint(body, err)
	}()
	<-begun

	// Somebody else has the new address: the old one serves on.
	taken, err := net.Listen("tcp", second)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(text, first, second, 1)
	if err := s.reload(moved); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("to an address that is taken: %v", err)
	}
	if body, err := read(http.Get("http://" + first)); err != nil || body != "ok" {
		t.Errorf("after a refused reload: %q, %v", body, err)
	}
	taken.Close()

	s.mustReload(moved)
	if got := s.daemon.Addr("web").String(); got != second {
		t.Errorf("it listens on %s, want %s", got, second)
	}
	if body, err := read(http.Get("http://" + second)); err != nil || body != "ok" {
		t.Errorf("the new address: %q, %v", body, err)
	}
	close(release)
	if got := <-slow; got != "ok<nil>" {
		t.Errorf("the request in flight: %s", got)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", first)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatal("the old address still accepts")
		}
	}
}

// TestReloadRenames: a listener with another name takes the socket over, and no client
// is refused meanwhile.
func TestReloadRenames(t *testing.T) {
	address := freeAddress(t)
	text := func(name string) string {
		return `
listeners: {` + name + `: {http: {address: "` + address + `"}}}
routes: [{match: {listeners: [` + name + `]}, respond: {body: ` + name + `}}]
`
	}
	s := startReloadable(t, text("a"))
	ctx, stop := context.WithCancel(t.Context())
	ended, responses := make(chan error, 1), make(chan string)
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
		for ctx.Err() == nil {
			body, err := read(client.Get("http://" + address))
			if err != nil {
				ended <- err
				return
			}
			select {
			case responses <- body:
			case <-ctx.Done():
			}
		}
		ended <- nil
	}()
	for i := range 6 {
		name := string("ba"[i%2])
		s.mustReload(text(name))
		for deadline, body := time.After(20*time.Second), ""; body != name; {
			select {
			case body = <-responses:
			case err := <-ended:
				t.Fatalf("a client: %v", err)
			case <-deadline:
				t.Fatalf("listener %s doesn't serve", name)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("a client: %v", err)
	}
}

// TestReloadChangesKind: a listener serves new connections by its new kind, at the same
// socket.
func TestReloadChangesKind(t *testing.T) {
	address := freeAddress(t)
	text := func(kind string) string {
		return `
listeners: {web: {` + strings.Replace(kind, "ADDRESS", `address: "`+address+`"`, 1) + `}}
routes: [{respond: {body: ok}}]
`
	}
	kinds := []string{"http: {ADDRESS}", "https: {ADDRESS, hosts: [localhost], tls: {internal: true}}", "megaki: {ADDRESS, keys: [KEY]}"}
	s := startReloadable(t, text(kinds[0]))
	old, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	io.WriteString(old, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	from := bufio.NewReader(old)
	if body, err := read(http.ReadResponse(from, nil)); err != nil || body != "ok" {
		t.Fatalf("http: %q, %v", body, err)
	}
	for i := range 4 { // and back
		kind := (i + 1) % 3
		s.mustReload(text(kinds[kind]))
		switch kind {
		case 0:
			if status, body := s.get("web", "/"); status != 200 || body != "ok" {
				t.Errorf("http: %d %s", status, body)
			}
		case 1:
			c := trusting(t, s.dir+"/storage/internal/web.crt")
			if body, err := read(c.Get("https://localhost:" + portOf(address))); err != nil || body != "ok" {
				t.Errorf("https: %q, %v", body, err)
			}
		case 2:
			c := client(t, s.daemon, "web")
			if got, err := c.Send(t.Context(), []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil || status(t, got) != 200 {
				t.Errorf("megaki: %q, %v", got, err)
			}
			c.Close()
		}
	}
	// The connection of the first kind goes on by it.
	io.WriteString(old, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if body, err := read(http.ReadResponse(from, nil)); err != nil || body != "ok" {
		t.Errorf("a connection from before: %q, %v", body, err)
	}
}

// TestReloadKeepsLimits: what clients have used of limits that stay is still used, and
// the workers of sections that stay are the same, whatever comments change.
func TestReloadKeepsLimits(t *testing.T) {
	text := `
listeners:
  web: {http: {address: "127.0.0.1:0"}}
  app: {megaki: {address: "127.0.0.1:0", keys: [KEY], handshakes_per_ip: {rate: 0.001, burst: 1}}}
backends: {site: {php: {script: worker.php, workers: {min: 2, max: 2}}}}
routes:
  - {match: {paths: [/limited]}, rate_limit: {rate: 0.001, burst: 1}, respond: {body: ok}}
  - {backend: site}
`
	s := &reloadSite{t: t, dir: t.TempDir()}
	s.write("worker.php", `<?php $ARCANGELO_USERSPACE = ['on_http' => fn () => 'ok', 'on_handle' => fn () => 'ok'];`)
	s.daemon, _ = start(t, s.load(text))
	before := fmt.Sprint(pids(s.status("site")))
	if status, _ := s.get("web", "/limited"); status != 200 {
		t.Errorf("the first request: %d", status)
	}
	message := []byte("GET /worker HTTP/1.1\r\nHost: x\r\n\r\n")
	if got, err := client(t, s.daemon, "app").Send(t.Context(), message); err != nil || status(t, got) != 200 {
		t.Fatalf("the first handshake: %q, %v", got, err)
	}
	for _, changed := range []string{
		"# a comment\n" + text,
		strings.Replace(text, "{min: 2, max: 2}", "{max: 2, min: 2}", 1),
		strings.Replace(text, "backends:", "  third: {http: {address: \"127.0.0.1:0\"}}\nbackends:", 1),
	} {
		s.mustReload(changed)
		if status, _ := s.get("web", "/limited"); status != 429 {
			t.Errorf("after a reload: %d, want 429", status)
		}
		if got, err := client(t, s.daemon, "app").Send(t.Context(), message); err == nil {
			t.Errorf("a second handshake after a reload: %q", got)
		}
		if now := fmt.Sprint(pids(s.status("site"))); now != before {
			t.Errorf("the workers were %s, and are %s", before, now)
		}
	}
	s.mustReload(strings.Replace(text, "max: 2}}", "max: 2}, env: {A: b}}", 1))
	for _, w := range s.status("site").Workers {
		if strings.Contains(before, fmt.Sprint(w.PID)) {
			t.Errorf("worker %d is of the old section", w.PID)
		}
	}
	s.mustReload(strings.Replace(text, "rate: 0.001, burst: 1}, respond", "rate: 0.001, burst: 2}, respond", 1))
	if status, _ := s.get("web", "/limited"); status != 200 {
		t.Errorf("with another limit: %d", status)
	}
}

// startToStop starts a daemon that the test stops itself.
func startToStop(t *testing.T, cfg *config.Config) *Daemon {
	t.Helper()
	logs, err := NewLogs(cfg.Log, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logs.Close() })
	d, err := New(cfg, logs)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestShutdownEndsReload: Shutdown waited until the workers of a reload had booted, and
// accepted connections meanwhile.
func TestShutdownEndsReload(t *testing.T) {
	const text = `
listeners: {web: {http: {address: "127.0.0.1:0"}}}
routes: [{respond: {body: hello}}]
`
	s := &reloadSite{t: t, dir: t.TempDir()}
	d := startToStop(t, s.load(text))
	script, booting := filepath.Join(s.dir, "script.php"), filepath.Join(s.dir, "booting")
	if err := os.WriteFile(script, fmt.Appendf(nil, "<?php touch('%s'); while (true) sleep(1);", booting), 0o644); err != nil {
		t.Fatal(err)
	}
	next := s.load(text + "backends: {site: {php: {script: script.php, boot_timeout: 1h}}}\n")
	reloaded, stopped := make(chan error, 1), make(chan error, 1)
	go func() { reloaded <- d.Reload(context.Background(), next) }()
	await(t, "a worker boots", func() bool { _, err := os.Stat(booting); return err == nil })
	go func() { stopped <- d.Shutdown(t.Context()) }()
	for what, ended := range map[string]chan error{"Reload": reloaded, "Shutdown": stopped} {
		select {
		case err := <-ended:
			if (what == "Reload") != (err != nil && strings.Contains(err.Error(), "mkd is stopping")) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s doesn't return", what)
		}
	}
}

// TestInFlightAfterReload: requests that end on an earlier configuration are in flight.
func TestInFlightAfterReload(t *testing.T) {
	begun, free := make(chan struct{}), make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-free
	}))
	defer u.Close()
	text := strings.Replace(twoListeners, "UPSTREAM", u.URL, 1)
	s := startReloadable(t, text)
	ended := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + s.daemon.Addr("web").String())
		if err == nil {
			resp.Body.Close()
		}
		ended <- err
	}()
	<-begun
	s.mustReload(withoutMore(text)) // whose listener drains
	if n := s.daemon.Status().InFlight; n != 1 {
		t.Errorf("%d requests in flight, want 1", n)
	}
	close(free)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	await(t, "none is in flight", func() bool { return s.daemon.Status().InFlight == 0 })
}

// TestAliveWhileStopping: a health check that came after the last request, while the workers
// ended, took a processor and never returned.
func TestAliveWhileStopping(t *testing.T) {
	s := &reloadSite{t: t, dir: t.TempDir()}
	d := startToStop(t, s.load(`
listeners: {web: {http: {address: "127.0.0.1:0"}}}
routes: [{respond: {body: hello}}]
`))
	if err := d.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := d.Alive(ctx); err != nil {
		t.Error(err)
	}
	if n := d.Status().InFlight; n != 0 {
		t.Errorf("%d requests in flight, want 0", n)
	}
}
