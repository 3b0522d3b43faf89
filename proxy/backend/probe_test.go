package backend

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mkd/config"
	"mkd/proxy/forward"
)

// loadBackends reads a configuration with some backends, each of which has a route.
func loadBackends(t *testing.T, dir, backends string) *config.Config {
	t.Helper()
	text := "listeners: {web: {http: {address: '127.0.0.1:0'}}}\nbackends:\n" + backends + "routes:\n"
	for line := range strings.Lines(backends) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		text += fmt.Sprintf("  - {match: {paths: [/%s]}, backend: %[1]s}\n", name)
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.php":  "<?php $ARCANGELO_USERSPACE = ['on_handle' => fn () => ''];",
		"wrong.php": "<?php\nthis is wrong",
		"throw.php": "<?php throw new Exception('no database');",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	cfg := loadBackends(t, dir, fmt.Sprintf(`  good: {php: {script: good.php, workers: {min: 8, max: 8}}}
  wrong: {php: {script: wrong.php}}
  throws: {php: {script: throw.php}}
  fpm: {fastcgi: {addresses: ["unix:none.sock", %q], root: .}}
  up: {http: {upstreams: [{url: "http://no-such-host.invalid"}, {url: "http://%s"}, {url: "http://%s"}]}}
  files: {files: {root: .}}
`, open.Addr(), closed.Addr(), open.Addr()))
	d := Daemon{Spool: forward.NewSpool(&cfg.Limits.Spool), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for i, want := range []struct{ err, warnings string }{
		{"", ""},
		{`Parse error: syntax error, unexpected identifier "is" in ` + dir + "/wrong.php on line 2", ""},
		{"no database", ""},
		{"", "unix:" + dir + "/none.sock: the socket doesn't exist; is PHP-FPM running, with this address as the listen of its pool?"},
		{"", closed.Addr().String() + ": connection refused; is the server running?"},
		{"", ""},
	} {
		b := &cfg.Backends[i]
		warnings, err := Probe(t.Context(), b, true, d)
		if have := fmt.Sprint(err); (err == nil) != (want.err == "") || !strings.Contains(have, want.err) {
			t.Errorf("%s: %v, want %s", b.Name, err, want.err)
		}
		have := strings.Join(warnings, "\n")
		if b.HTTP != nil { // what an unknown name gives depends on the resolver
			first, rest, _ := strings.Cut(have, "\n")
			if !strings.HasPrefix(first, "no-such-host.invalid:80: the name no-such-host.invalid ") && !strings.HasPrefix(first, "no-such-host.invalid:80 can't be reached") {
				t.Errorf("%s: %s", b.Name, first)
			}
			have = rest
		}
		if have != want.warnings {
			t.Errorf("%s: warnings %s, want %s", b.Name, have, want.warnings)
		}
		if warnings, err := Probe(t.Context(), b, false, d); b.PHP != nil && (err != nil || warnings != nil) {
			t.Errorf("%s without boot: %v, %v", b.Name, warnings, err)
		}
	}
}

// TestExplainUnreadable: the error of a worker that can't read its script names the
// user and what keeps it from reading.
func TestExplainUnreadable(t *testing.T) {
	dir := t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) { // the folders of the test are root's alone
		if info, err := os.Stat(p); err == nil && info.Mode().Perm()&1 == 0 {
			if err := os.Chmod(p, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	script := filepath.Join(dir, "private", "wk.php")
	if err := os.Mkdir(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte("<?php $ARCANGELO_USERSPACE = ['on_handle' => fn () => ''];"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can start workers as another user")
	}
	cfg := loadBackends(t, dir, "  site: {php: {script: private/wk.php, user: nobody}}\n")
	d := Daemon{Spool: forward.NewSpool(&cfg.Limits.Spool), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	_, err := Probe(t.Context(), &cfg.Backends[0], true, d)
	if want := "user nobody cannot read " + script + " (-rw-------); chmod or chown it"; err == nil || err.Error() != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
	if err := os.Chmod(filepath.Dir(script), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = Probe(t.Context(), &cfg.Backends[0], true, d)
	if want := "user nobody cannot read " + script + ": it may not enter the folder " + filepath.Dir(script) + " (drwx------); chmod or chown it"; err == nil || err.Error() != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
}
