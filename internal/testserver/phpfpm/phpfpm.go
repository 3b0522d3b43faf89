//go:build linux

// Package phpfpm runs a real PHP-FPM for a test.
package phpfpm

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a PHP-FPM.
type Server struct {
	Dir              string // a folder for the test's own files, which other users can enter and write to
	Network, Address string // where it listens, as net.Dial takes it

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Start starts PHP-FPM with a number of workers, which are www-data's if the test
// runs as root, and more settings of its pool, such as "pm.max_requests = 5". It
// responds to /ping. It is stopped at the end of the test, and its log is shown if
// the test failed.
func Start(t testing.TB, workers int, settings ...string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "fpm") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := &Server{Dir: dir, Network: "unix", Address: filepath.Join(dir, "s")}
	for _, setting := range settings {
		if address, ok := strings.CutPrefix(setting, "listen = "); ok {
			s.Network, s.Address = "tcp", address
		}
	}
	conf := fmt.Sprintf("[global]\nerror_log = %s/log\ndaemonize = no\n[test]\nlisten = %[1]s/s\nlisten.mode = 0666\n"+
		"pm = static\npm.max_children = %d\nping.path = /ping\nphp_admin_flag[log_errors] = on\n"+
		"php_admin_value[post_max_size] = 300M\nphp_admin_value[upload_max_filesize] = 300M\nphp_admin_value[session.save_path] = %[1]s\n", dir, workers)
	if os.Geteuid() == 0 {
		conf += "user = www-data\ngroup = www-data\n"
	}
	conf += strings.Join(settings, "\n") + "\n"
	s.Write(t, "conf", conf)
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("PHP-FPM logged:\n%s", s.Log())
		}
	})
	s.Start(t)
	return s
}

// Write writes a file, by its path below Dir, which any user can read.
func (s *Server) Write(t testing.TB, name, content string) {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Start starts PHP-FPM again after Stop, and returns when it accepts connections.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(binary(t), "-F", "-y", filepath.Join(s.Dir, "conf"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		// Pdeathsig comes when the thread ends that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}(s.cmd, s.done)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial(s.Network, s.Address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("PHP-FPM doesn't start: %v\n%s", err, s.Log())
		}
	}
}

// binary returns the program, which Debian names after its version.
func binary(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("php-fpm"); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/sbin/php-fpm*", "/usr/local/sbin/php-fpm*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Fatal("php-fpm not found: install it (Debian: apt-get install php-fpm)")
	return ""
}

// Signal sends a signal to PHP-FPM's master process.
func (s *Server) Signal(sig syscall.Signal) { s.cmd.Process.Signal(sig) }

// Stop stops PHP-FPM and its workers at once, and returns when they have ended.
func (s *Server) Stop() {
	if s.cmd != nil {
		s.Signal(syscall.SIGTERM)
		<-s.done
		s.cmd = nil
	}
}

// Log returns what PHP-FPM has logged.
func (s *Server) Log() string {
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(log)
}
