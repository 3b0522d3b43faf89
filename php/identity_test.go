package php

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// openDir returns a folder that all users can enter, with a script of testdata
// and what it includes. It isn't below the test's own folder, which others can't
// enter.
func openDir(t *testing.T, scripts ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mkd-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range scripts {
		code, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, code, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := NewPool(Options{Script: "testdata/kit.php", User: "www-data"}); err == nil {
			t.Error("no error without root")
		}
		return
	}
	dir := openDir(t, "kit.php")
	os.WriteFile(dir+"/server.key", []byte("secret"), 0o600)
	p, _ := start(t, Options{Script: dir + "/kit.php", User: "www-data", MinWorkers: 1})
	if got := mustDo(t, p, "user "+dir+"/server.key"); got != "33 33 unreadable" {
		t.Errorf("a worker of www-data: %s", got)
	}
	if _, err := NewPool(Options{Script: "testdata/kit.php", User: "no-such-user"}); err == nil {
		t.Error("an unknown user is taken")
	}
}

// TestUmaskOfTheDaemon: workers of another user start, and receive and move
// uploaded files, with the umask that systemd's UMask=0077 sets.
func TestUmaskOfTheDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the user of workers")
	}
	dir := openDir(t, "http.php", "globals.php")
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	p, _ := start(t, Options{Script: filepath.Join(dir, "http.php"), User: "www-data", MinWorkers: 1, MaxWorkers: 1,
		UploadDir: dir, Env: map[string]string{"TMPDIR": dir}})
	to := filepath.Join(dir, "moved")
	if w := request(t, p, multipartCall("/move?to="+to, filePart("f", "a", "content")+"--b--")); w.body.String() != "7" {
		t.Errorf("%q", &w.body)
	}
}

// TestSandbox: a worker has no capabilities and can't gain any, as root and as
// another user; without the option it can.
func TestSandbox(t *testing.T) {
	dir := openDir(t, "kit.php")
	users := []string{""}
	if os.Geteuid() == 0 {
		users = append(users, "www-data")
	}
	for _, user := range users {
		for _, sandbox := range []bool{false, true} {
			p, _ := start(t, Options{Script: dir + "/kit.php", User: user, MinWorkers: 1, Sandbox: sandbox})
			status := mustDo(t, p, "file /proc/self/status")
			has := func(line string) bool { return strings.Contains(status, line+"\n") }
			if has("NoNewPrivs:\t1") != sandbox || os.Geteuid() == 0 && has("CapBnd:\t0000000000000000") != sandbox ||
				sandbox && !has("CapEff:\t0000000000000000") {
				t.Errorf("user %q, sandbox %v:\n%s", user, sandbox, status)
			}
		}
	}
}

// TestClearEnv: a worker gets PATH, and nothing else that this process has.
func TestClearEnv(t *testing.T) {
	t.Setenv("DATABASE_PASSWORD", "secret")
	t.Setenv("HOME", "/nowhere")
	p, _ := start(t, Options{MinWorkers: 1, ClearEnv: true, Env: map[string]string{"APP": "a"}})
	for message, want := range map[string]string{"env DATABASE_PASSWORD": "", "env PATH": os.Getenv("PATH"), "env APP": "a"} {
		if got := mustDo(t, p, message); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
	if home := mustDo(t, p, "env HOME"); home == "/nowhere" || home == "" {
		t.Errorf("HOME is %q", home)
	}
}
