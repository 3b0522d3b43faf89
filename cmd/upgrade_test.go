package cmd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mkd/admin"
)

// upgraded is an mkd whose binary is replaced while it serves.
type upgraded struct {
	t             *testing.T
	daemon        *daemon
	web, secure   string // addresses
	binary, works string // the link by which mkd runs, and what it leads to
	log           *logReader
	pid           int // of the process that serves
}

// newUpgraded starts an mkd with a listener of each kind.
func newUpgraded(t *testing.T, sessions string) *upgraded {
	t.Helper()
	d, cmd := newDaemon(t, daemonOptions{})
	u := &upgraded{t: t, daemon: d, log: new(logReader), binary: filepath.Join(d.dir, "mkd"), works: cmd.Path}
	u.link(u.works)
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	u.web, u.secure = "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	files := map[string]string{
		"config.yaml": fmt.Sprintf(`
listeners:
  app: {megaki: {address: %q, keys: [server.key]}}
  web: {http: {address: %q}}
  tls: {https: {address: %q, hosts: [localhost], tls: {internal: true}}}
backends: {echo: {php: {script: script.php, workers: {min: 2, max: 2}}}}
routes: [{match: {payload: raw}, backend: echo}, {backend: echo}]
log: {access: false}
sessions: {%s}
shutdown_timeout: 3s
`, d.address, u.web, u.secure, sessions),
		"script.php": `<?php $ARCANGELO_USERSPACE = [
	'on_handle' => fn() => bin2hex(arca::$token) . ' ' . arca::$request,
	'on_http' => fn (arca\Request $r) => 'echo ' . $r->body(),
];`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command(u.binary, "run")
	run.Dir, run.Stderr = d.dir, u.log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	u.pid = run.Process.Pid
	first := make(chan error, 1)
	go func() { first <- run.Wait() }()
	t.Cleanup(func() {
		syscall.Kill(u.pid, syscall.SIGTERM)
		if u.pid != run.Process.Pid {
			eventually(t, "the last process has ended", func() bool { return syscall.Kill(u.pid, 0) != nil })
		}
		if err := <-first; err != nil {
			t.Errorf("the first process: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", u.log)
		}
	})
	d.await(t)
	return u
}

// link has the path by which mkd runs lead elsewhere.
func (u *upgraded) link(to string) {
	u.t.Helper()
	os.Remove(u.binary + ".new")
	if err := os.Symlink(to, u.binary+".new"); err != nil {
		u.t.Fatal(err)
	}
	if err := os.Rename(u.binary+".new", u.binary); err != nil {
		u.t.Fatal(err)
	}
}

// command runs a command of mkd, and returns what it prints.
func (u *upgraded) command(args ...string) (string, error) {
	u.t.Helper()
	cmd := exec.Command(u.works, args...)
	cmd.Dir = u.daemon.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// upgrade upgrades the daemon, and notes its process.
func (u *upgraded) upgrade(flags ...string) {
	u.t.Helper()
	out, err := u.command(append([]string{"upgrade"}, flags...)...)
	found := regexp.MustCompile(`^process (\d+) serves`).FindStringSubmatch(out)
	if err != nil || found == nil {
		u.t.Fatalf("mkd upgrade: %q, %v\n%s", out, err, u.log)
	}
	if u.pid, _ = strconv.Atoi(found[1]); u.pid == 0 {
		u.t.Fatal("no process")
	}
}

// load is requests by all listeners, none of which may fail.
type load struct {
	done    atomic.Int64
	running sync.WaitGroup
	stop    context.CancelFunc
}

func (u *upgraded) load() *load {
	l := new(load)
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	insecure := &tls.Config{InsecureSkipVerify: true}
	for _, w := range []struct {
		url string
		*http.Transport
	}{
		{"http://" + u.web, &http.Transport{}},
		{"http://" + u.web, &http.Transport{DisableKeepAlives: true}},
		{"https://" + u.secure, &http.Transport{TLSClientConfig: insecure.Clone()}},
		{"https://" + u.secure, &http.Transport{TLSClientConfig: insecure.Clone(), ForceAttemptHTTP2: true}},
	} {
		l.running.Go(func() {
			defer w.CloseIdleConnections()
			client := &http.Client{Transport: w.Transport, Timeout: time.Minute}
			for i := 0; ctx.Err() == nil; i++ {
				body := fmt.Sprint("body ", i)
				r, err := http.NewRequest("POST", w.url, io.MultiReader(strings.NewReader(body))) // which can't be sent twice
				if err != nil {
					u.t.Error(err)
					return
				}
				r.ContentLength = int64(len(body))
				if w.ForceAttemptHTTP2 { // but over HTTP/2 if the server hasn't taken it (RFC 9113, section 6.8)
					r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
				}
				resp, err := client.Do(r)
				if err != nil {
					u.t.Errorf("%s: %v", w.url, err)
					continue
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != "echo "+body {
					u.t.Errorf("%s: %s %q, %v", w.url, resp.Status, got, err)
				}
				l.done.Add(1)
			}
		})
	}
	for range 3 {
		l.running.Go(func() {
			c := u.daemon.client()
			defer c.Close()
			session := ""
			for i := 0; ctx.Err() == nil; i++ {
				message := fmt.Sprint("message ", i)
				got, err := c.Send(context.Background(), []byte(message))
				token, echo, _ := bytes.Cut(got, []byte(" "))
				if err != nil || string(echo) != message {
					u.t.Errorf("%q got %q, %v", message, got, err)
					continue
				}
				if session == "" {
					session = string(token)
				} else if string(token) != session {
					u.t.Errorf("the session was %s, and is %s: it wasn't resumed", session, token)
				}
				l.done.Add(1)
			}
		})
	}
	// Clients that come and go, of which none may be refused.
	l.running.Go(func() {
		for ctx.Err() == nil {
			conn, err := net.Dial("tcp", u.web)
			if err != nil {
				u.t.Errorf("a connection is refused: %v", err)
				continue
			}
			conn.Close()
			time.Sleep(time.Millisecond)
		}
	})
	return l
}

// end ends the load, once there were n more requests.
func (l *load) end(t *testing.T, n int64) {
	t.Helper()
	for before := l.done.Load(); l.done.Load() < before+n && !t.Failed(); {
		time.Sleep(10 * time.Millisecond)
	}
	l.stop()
	l.running.Wait()
	t.Logf("%d requests", l.done.Load())
}

// upgrades upgrades the daemon n times under load, and once to a binary that fails.
func upgrades(t *testing.T, n int, sessions string) {
	u := newUpgraded(t, sessions)
	idle := u.use()
	l := u.load()
	defer l.stop()
	var earlier []int // processes
	for i := range n {
		if i == n/2 {
			u.fail()
		}
		old := u.pid
		u.upgrade()
		if u.pid == old {
			t.Error("the same process serves")
		}
		earlier = append(earlier, old)
	}
	l.end(t, 100)
	for _, pid := range earlier {
		eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return !runs(pid) })
	}
	var now use
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if now = u.use(); now.children == idle.children && now.descriptors <= idle.descriptors+lazily && now.goroutines <= idle.goroutines+lazily {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("the process has %+v; the first one had %+v", now, idle)
			break
		}
	}
	t.Logf("in the first process %+v, in the last %+v", idle, now)
	out, err := u.command("workers", "restart") // the socket is that of the process that serves
	if err != nil {
		t.Errorf("mkd workers restart: %q, %v", out, err)
	}
}

// use is what a process has of what could be left over.
type use struct{ descriptors, children, goroutines int }

// lazily is how many descriptors and goroutines may be there that are made when they are
// first needed.
const lazily = 6

// use returns what the process that serves has.
func (u *upgraded) use() (now use) {
	u.t.Helper()
	body, err := (&admin.Client{Socket: filepath.Join(u.daemon.dir, "mkd.sock")}).Get(u.t.Context(), "/metrics")
	if err != nil {
		u.t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		u.t.Fatal(err)
	}
	for name, n := range map[string]*int{"process_open_fds": &now.descriptors, "go_goroutines": &now.goroutines} {
		found := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(text)
		if found == nil {
			u.t.Fatalf("no %s in\n%s", name, text)
		}
		*n, _ = strconv.Atoi(string(found[1]))
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		if _, parent := processState(file); parent == u.pid {
			now.children++
		}
	}
	return now
}

// runs reports whether a process runs: one that has ended can wait for its parent.
func runs(pid int) bool {
	state, _ := processState(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z"
}

// processState returns the state of a process and its parent, "" if there is none.
func processState(file string) (state string, parent int) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", 0
	}
	_, after, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

// fail attempts upgrades to binaries that can't serve.
func (u *upgraded) fail() {
	u.t.Helper()
	u.link("/bin/false")
	if out, err := u.command("upgrade"); err == nil || !strings.Contains(out, "has ended before it was ready (exit status 1)") {
		u.t.Errorf("mkd upgrade to /bin/false: %q, %v", out, err)
	}
	u.link(u.works)
	config := filepath.Join(u.daemon.dir, "config.yaml")
	good, err := os.ReadFile(config)
	if err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.Replace(good, []byte("backends:"), []byte("backend:"), 1), 0o644); err != nil {
		u.t.Fatal(err)
	}
	if out, err := u.command("upgrade"); err == nil || !strings.Contains(out, `unknown key; did you mean "backends"?`) {
		u.t.Errorf("mkd upgrade with a broken configuration: %q, %v", out, err)
	}
	if err := os.WriteFile(config, good, 0o644); err != nil {
		u.t.Fatal(err)
	}
	if err := syscall.Kill(u.pid, 0); err != nil {
		u.t.Errorf("the old process: %v", err)
	}
}

// TestUpgradeBySignal: SIGUSR2 does the same.
func TestUpgradeBySignal(t *testing.T) {
	u := newUpgraded(t, "")
	first := u.pid
	if err := syscall.Kill(first, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	var found []string
	eventually(t, "another process serves", func() bool {
		found = regexp.MustCompile(`another process serves.*"pid":(\d+)`).FindStringSubmatch(u.log.String())
		return found != nil
	})
	if u.pid, _ = strconv.Atoi(found[1]); u.pid == first || syscall.Kill(u.pid, 0) != nil {
		t.Errorf("process %d serves, which was %d", u.pid, first)
	}
	u.daemon.await(t)
}

// TestUpgrade: no connection is refused, no request fails, and sessions are resumed
// while another process takes over.
func TestUpgrade(t *testing.T) { upgrades(t, 1, "") }

// TestUpgradeAdmin: until the new process serves, the old one alone responds on the admin
// socket, so that /readyz and commands don't meet a process that boots. If the new one
// fails, the socket is still there.
func TestUpgradeAdmin(t *testing.T) {
	u := newUpgraded(t, "")
	script := filepath.Join(u.daemon.dir, "script.php")
	good, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		t.Helper()
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	client := &admin.Client{Socket: filepath.Join(u.daemon.dir, "mkd.sock")}
	during, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asked := 0
	asking.Go(func() {
		for ; during.Err() == nil; asked++ {
			body, err := client.Get(t.Context(), "/readyz")
			if err != nil {
				t.Errorf("/readyz: %v", err)
				return
			}
			body.Close()
		}
	})
	replace(string(good) + "\nusleep(500000);")
	u.upgrade()
	replace("<?php broken(")
	if out, err := u.command("upgrade"); err == nil || !strings.Contains(out, "the new process can't serve") {
		t.Errorf("mkd upgrade with a broken script: %q, %v", out, err)
	}
	stop()
	asking.Wait()
	if asked == 0 {
		t.Error("/readyz wasn't asked for")
	}
	replace(string(good))
	u.upgrade()
	u.daemon.await(t)
}

// TestUpgradeMovesAdmin: an upgrade can change the path of the admin socket, of which
// nothing is left at the old one. A path that is written in another way is the same.
func TestUpgradeMovesAdmin(t *testing.T) {
	u := newUpgraded(t, "")
	config := filepath.Join(u.daemon.dir, "config.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	const old, other = "mkd.sock", "other.sock"
	for _, c := range []struct{ from, to, there, gone string }{
		{old, filepath.Join(u.daemon.dir, old), old, other},
		{old, other, other, old},
		{other, "./" + other, other, old},
	} {
		if err := os.WriteFile(config, fmt.Appendf(nil, "%s\nadmin: {address: \"unix:%s\"}\n", text, c.to), 0o644); err != nil {
			t.Fatal(err)
		}
		before := u.pid
		u.upgrade("--admin", "unix:"+c.from)
		if _, err := os.Stat(filepath.Join(u.daemon.dir, c.gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("to %s: %s: %v", c.to, c.gone, err)
		}
		eventually(t, "the old process has ended", func() bool { return !runs(before) })
		if out, err := u.command("status", "--admin", "unix:"+c.there); err != nil || !strings.Contains(out, "process "+strconv.Itoa(u.pid)) {
			t.Errorf("to %s: mkd status: %s, %v", c.to, out, err)
		}
	}
}
