// Package redisserver runs Redis for tests.
package redisserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a server may take to start.
const patience = 20 * time.Second

// Server is a redis-server, which a test may stop and start again.
type Server struct {
	Addr string

	t      testing.TB
	dir    string
	config string
	cmd    *exec.Cmd
}

// Start starts a server on a free port of loopback. It ends with the test.
func Start(t testing.TB, config ...string) *Server {
	t.Helper()
	return start(t, strings.Join(append([]string{`save ""`, "appendonly no"}, config...), "\n"))
}

// Sentinel starts a Sentinel that watches a server, and that replaces it once it has
// not responded for half a second and quorum Sentinels agree.
func Sentinel(t testing.TB, master *Server, name string, quorum int) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(master.Addr)
	return start(t, fmt.Sprintf(`sentinel monitor %[1]s %[2]s %[3]s %[4]d
sentinel down-after-milliseconds %[1]s 500
sentinel failover-timeout %[1]s 5000
sentinel parallel-syncs %[1]s 1`, name, host, port, quorum), "--sentinel")
}

func start(t testing.TB, config string, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server isn't there: %v; install it, in Debian from the package redis-server", err)
	}
	s := &Server{t: t, dir: t.TempDir(), config: filepath.Join(t.TempDir(), "redis.conf")}
	for range 5 { // somebody may take the port
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Addr = l.Addr().String()
		_, port, _ := net.SplitHostPort(s.Addr)
		l.Close()
		text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\n%s\n", port, s.dir, config)
		if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.run(args) {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatal("redis-server doesn't start")
	return nil
}

// run starts the process, and reports whether it responds.
func (s *Server) run(args []string) bool {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", append([]string{s.config}, args...)...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	cmd := s.cmd
	go func() { cmd.Wait(); close(ended) }()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if _, err := s.Do("PING"); err == nil {
			return true
		}
	}
	cmd.Process.Kill()
	return false
}

// Kill ends the server at once, if it runs.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.Addr); err != nil {
			return
		} else {
			c.Close()
		}
	}
}

// Restart starts the server again at its address. What it had is gone.
func (s *Server) Restart() {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if s.run(nil) {
			return
		}
	}
	s.t.Fatal("redis-server doesn't start again")
}

// Do sends a command, and returns the first line of the response.
func (s *Server) Do(args ...string) (string, error) {
	lines, err := s.lines(args...)
	if len(lines) == 0 {
		return "", err
	}
	return lines[0], err
}

// lines sends a command, and returns the lines of the response: those of a text, if it
// is one, after the line with its length.
func (s *Server) lines(args ...string) (lines []string, err error) {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(c, "$%d\r\n%s\r\n", len(a), a)
	}
	from := bufio.NewReader(c)
	line, err := from.ReadString('\n')
	if err != nil {
		return nil, err
	}
	lines = []string{strings.TrimSpace(line)}
	if strings.HasPrefix(line, "-") {
		return lines, fmt.Errorf("redis-server: %s", line)
	}
	if length, err := strconv.Atoi(strings.TrimPrefix(lines[0], "$")); err == nil && line[0] == '$' && length > 0 {
		text := make([]byte, length)
		if _, err := io.ReadFull(from, text); err != nil {
			return lines, err
		}
		for l := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines, nil
}
