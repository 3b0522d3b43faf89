//go:build long

// Package packaging has no code: the test builds the Debian package and installs it.
package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// run runs a command within a time limit, and returns what it prints.
func run(t *testing.T, limit time.Duration, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &out)
	}
	return out.String()
}

// TestLongDebianPackage builds the package, has lintian look at it, and installs it
// in a Debian of its own.
func TestLongDebianPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("chroot needs root")
	}
	built := run(t, 15*time.Minute, "make", "-C", "..", "--no-print-directory", "deb")
	created := regexp.MustCompile(`created package: (bin/mkd_\S+\.deb)`).FindStringSubmatch(built)
	if created == nil {
		t.Fatalf("no package in\n%s", built)
	}
	deb := filepath.Join("..", created[1])
	t.Log(run(t, 3*time.Minute, "lintian", "--allow-root", "--fail-on", "error", deb))

	root := filepath.Join(t.TempDir(), "debian")
	run(t, 10*time.Minute, "debootstrap", "--variant=minbase", "--include=adduser,logrotate,init-system-helpers", "bookworm", root)
	run(t, time.Minute, "cp", deb, filepath.Join(root, "mkd.deb"))
	in := func(args ...string) string {
		return run(t, 2*time.Minute, "chroot", append([]string{root}, args...)...)
	}
	in("dpkg", "-i", "/mkd.deb")

	if have := in("mkd", "version"); !strings.HasPrefix(have, "mkd ") {
		t.Errorf("mkd version: %s", have)
	}
	if have := in("su", "mkd", "-s", "/bin/sh", "-c", "mkd check --config /etc/mkd/config.yaml"); !strings.Contains(have, "/etc/mkd/config.yaml is valid: 1 listener, 1 backend, 1 route") {
		t.Errorf("the package's configuration: %s", have)
	}
	in("logrotate", "--debug", "/etc/logrotate.d/mkd")
	for _, file := range []string{
		"usr/share/man/man8/mkd-check.8.gz", "usr/share/man/man1/sazukari-get.1.gz", "usr/share/bash-completion/completions/mkd",
		"usr/share/zsh/vendor-completions/_mkd", "usr/share/fish/vendor_completions.d/mkd.fish", "usr/share/doc/mkd/config.yaml",
		"usr/share/doc/mkd/examples/hello/userspace.php", "etc/mkd/sites", "usr/share/mkd/welcome/index.html",
	} {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Error(err)
		}
	}
	// The unit as it is installed. Only the path of the binary isn't this machine's.
	unit, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/mkd.service"))
	if err != nil {
		t.Fatal(err)
	}
	mkd := filepath.Join(root, "usr/bin/mkd")
	verified := filepath.Join(t.TempDir(), "mkd.service")
	if err := os.WriteFile(verified, bytes.ReplaceAll(unit, []byte("/usr/bin/mkd"), []byte(mkd)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := run(t, time.Minute, "systemd-analyze", "verify", "--man=no", verified); strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}

	// A changed configuration survives a removal, and the user stays.
	config := filepath.Join(root, "etc/mkd/config.yaml")
	if err := os.WriteFile(config, []byte("# changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	in("dpkg", "-r", "mkd")
	if data, err := os.ReadFile(config); err != nil || string(data) != "# changed\n" {
		t.Errorf("the configuration after a removal: %q, %v", data, err)
	}
	in("dpkg", "--purge", "mkd")
	if _, err := os.Stat(config); err == nil {
		t.Error("the configuration is there after a purge")
	}
	if have := in("getent", "passwd", "mkd"); !strings.Contains(have, "/var/lib/mkd") {
		t.Errorf("the user after a purge: %q", have)
	}
}
