package cmd

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mkd/megaki"
)

// daemon is a running mkd.
type daemon struct {
	dir     string
	process *os.Process
	address string
	config  megaki.Config
}

// daemonOptions say what to run.
type daemonOptions struct {
	php    string   // options of the backend; "": one worker
	script string   // "": one that echoes
	megaki string   // options of the listener
	log    string   // the section of config.yaml; "": no access lines
	limits string   // the section of config.yaml
	keep   string   // the section sessions of config.yaml
	stderr *os.File // nil: shown if the test fails
	plain  bool     // without the race detector
}

// startDaemon runs mkd with an echoing script until the test ends.
func startDaemon(t *testing.T, workers int) *daemon {
	t.Helper()
	return startDaemonWith(t, daemonOptions{php: fmt.Sprintf("workers: {min: %d, max: %[1]d}", workers)})
}

// startDaemonWith runs mkd until the test ends.
func startDaemonWith(t *testing.T, o daemonOptions) *daemon {
	t.Helper()
	d, cmd := newDaemon(t, o)
	var log bytes.Buffer
	if cmd.Stderr = &log; o.stderr != nil {
		cmd.Stderr = o.stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.process = cmd.Process
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("mkd: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", &log)
		}
	})
	d.await(t)
	return d
}

// newDaemon returns a daemon that doesn't run yet, and the command that runs it.
func newDaemon(t *testing.T, o daemonOptions) (*daemon, *exec.Cmd) {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := ports[0]
	dir, err := os.MkdirTemp("", "mkd-test-") // others can enter it, unlike the test's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"config.yaml": fmt.Sprintf(`
listeners: {app: {megaki: {address: "127.0.0.1:%s", keys: [server.key], %s}}}
backends: {echo: {php: {script: script.php, %s}}}
routes: [{match: {payload: raw}, backend: echo}]
log: {%s}
limits: {%s}
sessions: {%s}
`, port, o.megaki, cmp.Or(o.php, "workers: {min: 1, max: 1}"), cmp.Or(o.log, "access: false"), o.limits, o.keep),
		"script.php": cmp.Or(o.script, `<?php $ARCANGELO_USERSPACE = ['on_handle' => fn() => arca::$request];`),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sessions.secret"), bytes.Repeat([]byte("secret"), 6), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := megaki.CreateKeyFiles(filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "server.key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{dir: dir, address: "127.0.0.1:" + port}
	if d.config.ServerKey, err = megaki.ParsePublicKey(pem); err != nil {
		t.Fatal(err)
	}
	if d.config.ClientKey, err = megaki.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(bin, "mkd")
	if o.plain {
		name = filepath.Join(t.TempDir(), "mkd")
		if out, err := exec.Command("go", "build", "-pgo=off", "-o", name, "./mkd").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cmd := exec.Command(name, "run")
	cmd.Dir = dir
	t.Cleanup(func() {
		if cmd.Process != nil {
			cmd.Process.Kill() // unless it has ended
		}
	})
	return d, cmd
}

// await waits until the daemon responds.
func (d *daemon) await(t *testing.T) {
	t.Helper()
	eventually(t, "mkd responds", func() bool {
		c := d.client()
		defer c.Close()
		_, err := c.Send(t.Context(), []byte("x"))
		return err == nil
	})
}

func (d *daemon) client() *megaki.Client {
	return &megaki.Client{Address: d.address, Config: d.config}
}

// workers returns the process ids of the daemon's PHP workers.
func (d *daemon) workers() (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.process.Pid))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(data)) {
			pid, _ := strconv.Atoi(f)
			pids = append(pids, pid)
		}
	}
	return pids
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// TestKilledWorkers kills a worker with SIGKILL every 200 ms under load: only
// requests that were in that worker fail, no client gets another's response, and the pool
// is at full size after.
func TestKilledWorkers(t *testing.T) {
	const workers = 4
	d := startDaemon(t, workers)
	ctx, stop := context.WithCancel(t.Context())
	var done, failed atomic.Int64
	var load sync.WaitGroup
	for range 16 {
		load.Go(func() {
			c := d.client()
			defer c.Close()
			for ctx.Err() == nil {
				want := strconv.FormatUint(rand.Uint64(), 36)
				switch got, err := c.Send(context.Background(), []byte(want)); {
				case err != nil:
					failed.Add(1)
				case string(got) != want:
					t.Errorf("%q got the response %q", want, got)
				default:
					done.Add(1)
				}
			}
		})
	}
	killed := int64(0)
	for range 10 {
		time.Sleep(200 * time.Millisecond)
		if pids := d.workers(); len(pids) > 0 && syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL) == nil {
			killed++
		}
	}
	stop()
	load.Wait()
	t.Logf("%d responses, %d workers killed, %d failed", done.Load(), killed, failed.Load())
	if failed.Load() > killed || done.Load() < 200 {
		t.Errorf("%d responses, %d workers killed, %d failed", done.Load(), killed, failed.Load())
	}
	eventually(t, "the pool is at full size", func() bool { return len(d.workers()) == workers })
}

// TestUser runs mkd as root with workers of www-data: they have none of mkd's
// groups, and can't read the server's key.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start processes as another user")
	}
	d := startDaemonWith(t, daemonOptions{php: "user: www-data, workers: {min: 1, max: 1}", script: `<?php
		$ARCANGELO_USERSPACE = ['on_handle' => fn() => implode(' ', [
			posix_geteuid(), posix_getegid(), implode(',', posix_getgroups()), var_export(@file_get_contents(arca::$request), true),
		])];`})
	c := d.client()
	defer c.Close()
	got, err := c.Send(t.Context(), []byte(filepath.Join(d.dir, "server.key")))
	if err != nil || string(got) != "33 33 33 false" {
		t.Errorf("a worker reports %q, %v", got, err)
	}
}

// TestIdleSessions: sessions that were idle for some seconds, and so are watched
// without a goroutine, still get responses.
func TestIdleSessions(t *testing.T) { idleSessions(t, 200, 2*time.Second) }

func idleSessions(t *testing.T, sessions int, idle time.Duration) {
	d := startDaemon(t, 2)
	conns := make([]*megaki.Conn, sessions)
	each := func(f func(i int) error) {
		var wg sync.WaitGroup
		next := make(chan int)
		for range 8 {
			wg.Go(func() {
				for i := range next {
					if err := f(i); err != nil {
						t.Errorf("session %d: %v", i, err)
					}
				}
			})
		}
		for i := range conns {
			next <- i
		}
		close(next)
		wg.Wait()
	}
	each(func(i int) (err error) {
		conns[i], err = megaki.Dial(t.Context(), "tcp", d.address, &d.config)
		return err
	})
	if t.Failed() {
		return
	}
	time.Sleep(idle) // what the test is about
	each(func(i int) error {
		defer conns[i].Close()
		want := strconv.Itoa(i)
		got, err := conns[i].RoundTrip(t.Context(), []byte(want))
		if err == nil && string(got) != want {
			err = fmt.Errorf("the response is %q", got)
		}
		return err
	})
}
