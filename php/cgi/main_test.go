package cgi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mkd/proxy/fastcgi"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("PHPCGI_TEST_DAEMON"); dir != "" {
		daemon(dir)
	}
	os.Exit(m.Run())
}

// patience is how long the tests wait for what should come soon.
const patience = 30 * time.Second

// site is a Server with testdata/kit.php, and a client of it.
type site struct {
	*Server
	dir string // of the script, which all may read
	tr  *fastcgi.Transport
	// stderr gets the error output of scripts; nil: nobody does.
	stderr func(line string)
	logs   *logs
}

// openDir makes a folder with a mode, which may let other users in.
func openDir(t testing.TB, mode fs.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// newSite makes a Server. The test fails if the Server leaves anything behind.
func newSite(t testing.TB, opt Options) *site {
	t.Helper()
	if _, err := exec.LookPath(DefaultCommand); err != nil {
		t.Fatal("php-cgi not found: install it (Debian: apt-get install php-cgi)")
	}
	s := &site{dir: openDir(t, 0o777), logs: &logs{}}
	kit, err := os.ReadFile("testdata/kit.php")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "kit.php"), kit, 0o644); err != nil {
		t.Fatal(err)
	}
	opt.Logger = slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if opt.SocketDir == "" {
		opt.SocketDir = openDir(t, 0o755)
	}
	if s.Server, err = New(opt); err != nil {
		t.Fatal(err)
	}
	s.tr = &fastcgi.Transport{Network: "unix", Address: s.Address(), Call: func(r *http.Request) *fastcgi.Call {
		script := fastcgi.Script{Filename: filepath.Join(s.dir, "kit.php"), Name: "/kit.php", DocumentRoot: s.dir}
		return &fastcgi.Call{
			Params: func(p *fastcgi.Params) error { script.AddParams(p, r); return nil },
			Stderr: s.stderr,
		}
	}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		s.leftNothing(t)
		if t.Failed() {
			t.Logf("the log:\n%s", s.logs)
		}
	})
	return s
}

// startSite makes and starts a Server.
func startSite(t testing.TB, opt Options) *site {
	t.Helper()
	s := newSite(t, opt)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// leftNothing checks that a Server has left nothing after Shutdown.
func (s *site) leftNothing(t testing.TB) {
	t.Helper()
	if st := s.Status(); len(st.Workers) > 0 {
		t.Errorf("left after Shutdown: %v", st.Workers)
	}
	if found, _ := filepath.Glob(filepath.Join(s.opt.SocketDir, "*")); len(found) > 0 {
		t.Errorf("left after Shutdown: %v", found)
	}
}

// request makes a request for what the kit can do, as in "print&text=a".
func request(t testing.TB, do string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/kit.php?do="+do, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.7:4711"
	return r
}

// send sends a request, and returns what follows the process's number.
func (s *site) send(r *http.Request) (pid int, resp *http.Response, rest string, err error) {
	resp, err = s.tr.RoundTrip(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, resp, "", err
	}
	number, rest, _ := strings.Cut(string(body), " ")
	if pid, err = strconv.Atoi(number); err != nil {
		return 0, resp, "", fmt.Errorf("status %d, %q", resp.StatusCode, body)
	}
	return pid, resp, rest, nil
}

// get sends a request that must succeed.
func (s *site) get(t testing.TB, do string) (pid int, rest string) {
	t.Helper()
	pid, _, rest, err := s.send(request(t, do))
	if err != nil {
		t.Fatalf("%s: %v", do, err)
	}
	return pid, rest
}

// list sends a request whose response is JSON.
func (s *site) list(t testing.TB, do string, into any) {
	t.Helper()
	_, rest := s.get(t, do)
	if err := json.Unmarshal([]byte(rest), into); err != nil {
		t.Fatalf("%s: %v: %s", do, err, rest)
	}
}

// hold sends a request that goes on until release is called, and returns when a
// script has it.
func (s *site) hold(t testing.TB, ctx context.Context, do string) (pid int, release func(), done <-chan error) {
	t.Helper()
	file := filepath.Join(s.dir, "hold"+strconv.FormatInt(time.Now().UnixNano(), 36))
	ended := make(chan error, 1)
	r := request(t, do+"&file="+url.QueryEscape(file)).WithContext(ctx)
	go func() {
		_, _, _, err := s.send(r)
		ended <- err
	}()
	eventually(t, "the script runs", func() bool {
		found, _ := filepath.Glob(file + ".*")
		if len(found) == 0 {
			return false
		}
		pid, _ = strconv.Atoi(strings.TrimPrefix(found[0], file+"."))
		return true
	})
	return pid, func() {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Error(err)
		}
	}, ended
}

// pids returns the process numbers of the Server.
func (s *site) pids() (pids []int) {
	for _, w := range s.Status().Workers {
		pids = append(pids, w.PID)
	}
	return pids
}

// full waits until all processes run.
func (s *site) full(t testing.TB) {
	t.Helper()
	eventually(t, "all processes run", func() bool { return len(s.pids()) == s.opt.Workers })
}

// eventually waits for a state.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

// alive reports whether a process exists, even as a zombie.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// lives reports whether a process exists that isn't a zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return err == nil && !bytes.HasPrefix(rest, []byte("Z"))
}

// logs keeps what was logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func stderrTo(lines *[]string) func(string) {
	return func(line string) { *lines = append(*lines, line) }
}

// daemon runs in place of the tests when a test wants to kill a daemon: it starts
// a Server, prints the numbers of its processes, and waits.
func daemon(dir string) {
	s, err := New(Options{Workers: 3, SocketDir: dir})
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for len(s.Status().Workers) < 3 {
		time.Sleep(time.Millisecond)
	}
	for _, w := range s.Status().Workers {
		fmt.Print(w.PID, " ")
	}
	fmt.Println()
	select {}
}
