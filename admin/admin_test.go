package admin

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// fakeDaemon is a Control that notes what it is asked for.
type fakeDaemon struct {
	mu   sync.Mutex
	done []string
	err  error
}

func (f *fakeDaemon) note(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = append(f.done, what)
	return f.err
}

func (f *fakeDaemon) Reload(context.Context) error { return f.note("reload") }

func (f *fakeDaemon) Upgrade(context.Context) (int, error) { return 4711, f.note("upgrade") }

func (f *fakeDaemon) Alive(context.Context) error { return f.note("alive") }

func (f *fakeDaemon) Drain() error { return f.note("drain") }

func (f *fakeDaemon) Reopen() (bool, error) { return true, f.note("reopen") }
func (f *fakeDaemon) SetMaintenance(on bool) error {
	return f.note("maintenance " + strconv.FormatBool(on))
}

func (f *fakeDaemon) RestartWorkers(_ context.Context, name string) error {
	return f.note("restart " + name)
}

func (f *fakeDaemon) Leaks() map[string]any { return map[string]any{"app": []string{"$cache"}} }

// serve serves a daemon at a socket until the test ends, and returns its path.
func serve(t *testing.T, c Control) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Control: c, Source: new(fakeSource)}
	done := make(chan error)
	go func() { done <- s.Serve(l, Socket) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return path
}

func TestActions(t *testing.T) {
	daemon := new(fakeDaemon)
	c := &Client{Socket: serve(t, daemon)}
	for _, do := range []func() (string, error){
		func() (string, error) { return c.Reload(t.Context()) },
		func() (string, error) { return c.Upgrade(t.Context()) },
		func() (string, error) { return c.Drain(t.Context()) },
		func() (string, error) { return c.Reopen(t.Context()) },
		func() (string, error) { return c.SetMaintenance(t.Context(), true) },
		func() (string, error) { return c.SetMaintenance(t.Context(), false) },
		func() (string, error) { return c.RestartWorkers(t.Context(), "") },
		func() (string, error) { return c.RestartWorkers(t.Context(), "a&b=c") },
	} {
		if done, err := do(); err != nil || done == "" || strings.Contains(done, "\n") {
			t.Errorf("%q, %v", done, err)
		}
	}
	if got, want := strings.Join(daemon.done, ", "), "reload, upgrade, drain, reopen, maintenance true, maintenance false, restart , restart a&b=c"; got != want {
		t.Errorf("the daemon did %s, want %s", got, want)
	}
	daemon.err = errors.New("first\nsecond")
	if done, err := c.Drain(t.Context()); err == nil || err.Error() != "first\nsecond" {
		t.Errorf("%q, %v; want the daemon's error", done, err)
	}
}

// TestLeaks: what the daemon has found is read as JSON.
func TestLeaks(t *testing.T) {
	c := &Client{Socket: serve(t, new(fakeDaemon))}
	body, err := c.Get(t.Context(), "/leaks")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || string(text) != "{\"app\":[\"$cache\"]}\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestCrossOrigin: a page in a browser that reaches the socket, through a forwarded
// port, can't act.
func TestCrossOrigin(t *testing.T) {
	daemon := new(fakeDaemon)
	path := serve(t, daemon)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	for _, c := range []struct {
		method string
		header http.Header
		want   int
	}{
		{"POST", http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		{"POST", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		{"POST", http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusOK},
		{"GET", nil, http.StatusMethodNotAllowed},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://localhost:8080/drain", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.header != nil {
			r.Header = c.header
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s %v: %s, want %d", c.method, c.header, resp.Status, c.want)
		}
	}
	if len(daemon.done) != 1 {
		t.Errorf("the daemon did %v", daemon.done)
	}
}

// TestSocketMode: nobody but the owner can connect, at no time and with any umask.
func TestSocketMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	info, err := os.Lstat(serve(t, new(fakeDaemon)))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestStaleSocket: what a dead process left is replaced, and nothing else.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(path); !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), path) {
		t.Errorf("the socket of a live process: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "there is a file of this name") {
		t.Errorf("a file: %v", err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("the file is now %q, %v", data, err)
	}
}

// TestNoDaemon: the errors name the socket, and what can be done.
func TestNoDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	_, err := (&Client{Socket: path}).Drain(t.Context())
	if err == nil || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), "--admin") || strings.Count(err.Error(), path) != 1 {
		t.Errorf("%v", err)
	}
}
