package cmd

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// manager is a service manager like systemd, as far as mkd sees it: it receives
// notifications (sd_notify(3)), and starts mkd with sockets that it has opened
// (sd_listen_fds(3)).
type manager struct {
	socket *net.UnixConn

	mu       sync.Mutex
	messages []string
}

func newManager(t *testing.T, dir string) *manager {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{socket: socket}
	t.Cleanup(func() { socket.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.messages = append(m.messages, string(buf[:n]))
			m.mu.Unlock()
		}
	}()
	return m
}

// received returns the messages with a line that begins with prefix.
func (m *manager) received(prefix string) (found []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.messages {
		if strings.HasPrefix(message, prefix) || strings.Contains(message, "\n"+prefix) {
			found = append(found, message)
		}
	}
	return found
}

// await waits until n messages with a prefix have come, and returns the last.
func (m *manager) await(t *testing.T, n int, prefix string) string {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has come %d times", prefix, n), func() bool { return len(m.received(prefix)) >= n })
	all := m.received(prefix)
	return all[len(all)-1]
}

// start starts mkd as a service. The sockets have names. stop stops it; a second
// SIGTERM would cut its requests off.
func (m *manager) start(t *testing.T, d *daemon, path string, env []string, sockets map[string]*os.File) (mkd *os.Process, stop func()) {
	t.Helper()
	// LISTEN_PID is the id of the process that gets the sockets.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" run`, path)
	cmd.Dir, cmd.Stderr = d.dir, new(logReader)
	cmd.Env = append(os.Environ(), append(env, "NOTIFY_SOCKET="+m.socket.LocalAddr().String())...)
	if len(sockets) > 0 {
		var names []string
		for name, f := range sockets {
			names = append(names, name)
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() { cmd.Process.Signal(syscall.SIGTERM) })
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGCONT)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("mkd ended: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", cmd.Stderr)
		}
	})
	return cmd.Process, stop
}

// TestServiceManager: mkd reports to its service manager that it is ready, that it
// reloads, whether a reload failed, and that it stops; and it feeds the watchdog.
func TestServiceManager(t *testing.T) {
	d, cmd := newDaemon(t, daemonOptions{})
	m := newManager(t, d.dir)
	mkd, stop := m.start(t, d, cmd.Path, []string{"WATCHDOG_USEC=400000"}, nil)
	if ready := m.await(t, 1, "READY=1"); !strings.Contains(ready, "STATUS=serving with config.yaml: listeners 1, backends 1, routes 1") {
		t.Errorf("%q", ready)
	}
	m.await(t, 3, "WATCHDOG=1")

	mkd.Signal(syscall.SIGHUP)
	if reloading := m.await(t, 1, "RELOADING=1"); !strings.Contains(reloading, "MONOTONIC_USEC=") {
		t.Errorf("%q", reloading)
	}
	m.await(t, 2, "READY=1")
	if err := os.WriteFile(filepath.Join(d.dir, "config.yaml"), []byte("nonsense: 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	mkd.Signal(syscall.SIGHUP)
	m.await(t, 2, "RELOADING=1")
	m.await(t, 3, "READY=1") // with the configuration before, or systemd would wait for ever

	stop()
	m.await(t, 1, "STOPPING=1")
}

// TestReloadBeforeReady: a reload while the workers boot, even a refused one, doesn't report
// that the daemon is ready.
func TestReloadBeforeReady(t *testing.T) {
	d, cmd := newDaemon(t, daemonOptions{script: `<?php
while (!file_exists(__DIR__ . '/go')) usleep(10000);
$ARCANGELO_USERSPACE = ['on_handle' => fn() => arca::$request];`})
	m := newManager(t, d.dir)
	m.start(t, d, cmd.Path, nil, nil)
	eventually(t, "the admin socket is open", func() bool {
		_, err := os.Stat(filepath.Join(d.dir, "mkd.sock"))
		return err == nil
	})
	if err := os.WriteFile(filepath.Join(d.dir, "config.yaml"), []byte("nonsense: 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload is refused", func() bool {
		out, _ := exec.Command("sh", "-c", `cd "$1" && exec "$0" reload 2>&1`, cmd.Path, d.dir).Output()
		return strings.Contains(string(out), "nonsense: unknown key")
	})
	if err := os.WriteFile(filepath.Join(d.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m.await(t, 1, "READY=1")
	if early := m.received("RELOADING=1"); len(early) > 0 {
		t.Errorf("before it was ready: %q", early)
	}
}

// TestWatchdogWithoutSocket: a daemon whose admin socket was removed feeds the watchdog
// on, or the service manager would end it while it serves.
func TestWatchdogWithoutSocket(t *testing.T) {
	d, cmd := newDaemon(t, daemonOptions{})
	m := newManager(t, d.dir)
	m.start(t, d, cmd.Path, []string{"WATCHDOG_USEC=400000"}, nil)
	m.await(t, 1, "WATCHDOG=1")
	if err := os.Remove(filepath.Join(d.dir, "mkd.sock")); err != nil {
		t.Fatal(err)
	}
	m.await(t, len(m.received("WATCHDOG=1"))+3, "WATCHDOG=1")
}

// TestWatchdogOfAStoppedDaemon: a daemon that can't respond doesn't feed the
// watchdog.
func TestWatchdogOfAStoppedDaemon(t *testing.T) {
	d, cmd := newDaemon(t, daemonOptions{})
	m := newManager(t, d.dir)
	mkd, _ := m.start(t, d, cmd.Path, []string{"WATCHDOG_USEC=200000"}, nil)
	m.await(t, 3, "WATCHDOG=1")
	mkd.Signal(syscall.SIGSTOP)
	time.Sleep(300 * time.Millisecond) // what was on its way has come
	before := len(m.received("WATCHDOG=1"))
	time.Sleep(time.Second)
	if n := len(m.received("WATCHDOG=1")); n != before {
		t.Errorf("%d messages came while it stood still", n-before)
	}
	mkd.Signal(syscall.SIGCONT)
	m.await(t, before+1, "WATCHDOG=1")
}

// TestSocketActivation: a listener takes the socket of its name, at whatever address
// the service manager has opened it, and serves what waited there.
func TestSocketActivation(t *testing.T) {
	d, cmd := newDaemon(t, daemonOptions{})
	m := newManager(t, d.dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := fmt.Sprintf(`
listeners: {web: {http: {address: %q}}}
backends: {files: {files: {root: .}}}
routes: [{respond: {body: activated}}]
`, l.Addr())
	if err := os.WriteFile(filepath.Join(d.dir, "config.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	early := make(chan string, 1) // connects before mkd runs
	go func() {
		resp, err := http.Get("http://" + l.Addr().String() + "/")
		if err != nil {
			early <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		early <- string(body)
	}()
	m.start(t, d, cmd.Path, nil, map[string]*os.File{"web": f})
	m.await(t, 1, "READY=1")
	if got := <-early; got != "activated" {
		t.Errorf("the client that came first got %q", got)
	}
}
