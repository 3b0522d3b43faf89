//go:build linux

package fastcgi

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fpm is a real PHP-FPM that serves testdata/kit.php.
type fpm struct {
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	tr   *Transport
}

// fpmBinary returns the program, which Debian names after its version.
func fpmBinary(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("php-fpm"); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/sbin/php-fpm*", "/usr/local/sbin/php-fpm*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Fatal("php-fpm isn't there: install it (Debian: apt-get install php-fpm)")
	return ""
}

// startFPM starts PHP-FPM with a fixed number of workers, and settings of its pool.
func startFPM(t testing.TB, workers int, settings ...string) *fpm {
	t.Helper()
	dir, err := os.MkdirTemp("", "fpm") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // its workers are another user's
		t.Fatal(err)
	}
	kit, err := os.ReadFile("testdata/kit.php")
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("[global]\nerror_log = %s/log\ndaemonize = no\n[test]\nlisten = %[1]s/s\nlisten.mode = 0666\n"+
		"pm = static\npm.max_children = %d\nping.path = /ping\n"+
		"php_admin_flag[log_errors] = on\nphp_admin_value[output_buffering] = 0\nphp_admin_value[post_max_size] = 100M\nphp_admin_value[upload_max_filesize] = 100M\n", dir, workers)
	if os.Geteuid() == 0 {
		conf += "user = www-data\ngroup = www-data\n"
	}
	conf += strings.Join(settings, "\n") + "\n"
	for name, content := range map[string]string{"kit.php": string(kit), "conf": conf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := &fpm{dir: dir}
	f.tr = &Transport{Network: "unix", Address: filepath.Join(dir, "s"), Params: f.params}
	for _, s := range settings {
		if address, ok := strings.CutPrefix(s, "listen = "); ok {
			f.tr.Network, f.tr.Address = "tcp", address
		}
	}
	t.Cleanup(func() {
		f.stop()
		if log, _ := os.ReadFile(filepath.Join(dir, "log")); t.Failed() {
			t.Logf("PHP-FPM logged:\n%s", log)
		}
	})
	f.start(t)
	return f
}

func (f *fpm) start(t testing.TB) {
	t.Helper()
	f.cmd = exec.Command(fpmBinary(t), "-F", "-y", filepath.Join(f.dir, "conf"))
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	f.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		// The signal comes when the thread ends that has started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}(f.cmd, f.done)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	ping := &Transport{Network: f.tr.Network, Address: f.tr.Address, Params: func(dst []Param, r *http.Request) ([]Param, error) {
		return (&Script{Filename: "/ping", Name: "/ping"}).AppendParams(dst, r), nil
	}}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, body, err := exchangeAll(ping, newRequest(t, "GET", ""))
		if err == nil && body == "pong" {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(f.dir, "log"))
			t.Fatalf("PHP-FPM doesn't start: %v\n%s", err, log)
		}
	}
}

func (f *fpm) stop() {
	f.tr.CloseIdleConnections()
	if f.cmd != nil {
		f.cmd.Process.Signal(syscall.SIGTERM) // at once, with its workers
		<-f.done
		f.cmd = nil
	}
}

func (f *fpm) params(dst []Param, r *http.Request) ([]Param, error) {
	s := Script{
		Filename: filepath.Join(f.dir, "kit.php"), Name: "/kit.php", DocumentRoot: f.dir,
		PathInfo:   strings.TrimPrefix(r.URL.Path, "/kit.php"),
		ServerAddr: netip.MustParseAddrPort("192.0.2.1:443"), RemoteAddr: netip.MustParseAddrPort("192.0.2.7:4711"),
		HTTPS: true, Session: "00ff", Env: []Param{{"APP_ENV", "test"}},
	}
	return s.AppendParams(dst, r), nil
}

// request makes a request for what the kit can do.
func (f *fpm) request(t testing.TB, method, query, body string) *http.Request {
	t.Helper()
	r := newRequest(t, method, body)
	r.URL.Path, r.URL.RawQuery = "/kit.php", query
	return r
}

// do sends a request that has to succeed.
func (f *fpm) do(t testing.TB, method, query, body string) (*http.Response, string) {
	t.Helper()
	resp, got, err := exchangeAll(f.tr, f.request(t, method, query, body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, query, err)
	}
	return resp, got
}

// file returns a file that lets a script which holds go on, and its part of a query.
func (f *fpm) file(name string) (path, query string) {
	path = filepath.Join(f.dir, name)
	return path, "&file=" + url.QueryEscape(path)
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// readPID reads the line with which a script that holds begins.
func readPID(t testing.TB, resp *http.Response) int {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := resp.Body.Read(b); err != nil {
			t.Fatal(err)
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
