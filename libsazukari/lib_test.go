// Package libsazukari_test builds the C library and runs its tests: what is
// inside it, and programs of the field against mkd and package megaki.
package libsazukari_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// build makes the library and its test programs once, in a folder of its own.
var build = sync.OnceValues(func() (dir string, err error) {
	if err := checkTools(); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "libsazukari-test-"); err != nil {
		return "", err
	}
	if out, err := exec.Command("make", "-s", "programs", "BUILD="+dir).CombinedOutput(); err != nil {
		return dir, fmt.Errorf("make programs: %v\n%s", err, out)
	}
	return dir, nil
})

// checkTools reports what to install. A test that skipped itself would hide it.
func checkTools() error {
	for _, tool := range []struct{ command, pkg string }{
		{"make", "make"}, {"cc", "gcc"}, {"c++", "g++"}, {"nm", "binutils"}, {"php", "php-cli"},
	} {
		if _, err := exec.LookPath(tool.command); err != nil {
			return fmt.Errorf("%s is missing: install it with 'apt-get install %s'", tool.command, tool.pkg)
		}
	}
	cmd := exec.Command("cc", "-fsyntax-only", "-xc", "-")
	cmd.Stdin = strings.NewReader("#include <openssl/evp.h>\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the headers of OpenSSL are missing: install them with 'apt-get install libssl-dev'\n%s", out)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := build(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func programs(t *testing.T) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a program, which must succeed, and returns what it printed.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// TestMake runs what `make test` runs: the library under sanitizers, its ABI,
// its header in C++.
func TestMake(t *testing.T) {
	out := run(t, exec.Command("make", "-s", "test", "BUILD="+programs(t)))
	if n := strings.Count(out, "ok "); n != 11 {
		t.Errorf("%d parts ran, want 11:\n%s", n, out)
	}
}

// TestInstall installs the library, and builds a program with what is installed.
func TestInstall(t *testing.T) {
	dest := t.TempDir()
	run(t, exec.Command("make", "-s", "install", "BUILD="+programs(t), "DESTDIR="+dest, "PREFIX=/opt/szkr"))
	for _, file := range []string{"lib/libsazukari.so.1", "lib/libsazukari.so", "lib/libsazukari.a", "lib/pkgconfig/sazukari.pc", "include/sazukari.h", "include/common.h"} {
		if _, err := os.Stat(filepath.Join(dest, "opt/szkr", file)); err != nil {
			t.Error(err)
		}
	}
	lib := filepath.Join(dest, "opt/szkr/lib")
	pc, err := os.ReadFile(filepath.Join(lib, "pkgconfig/sazukari.pc"))
	if err != nil || !strings.Contains(string(pc), "prefix=/opt/szkr\n") { // what was built before had another
		t.Errorf("sazukari.pc has another prefix: %q, %v", pc, err)
	}
	exe := filepath.Join(dest, "abi")
	run(t, exec.Command("cc", "-o", exe, "tests/abi.c", "-I"+filepath.Join(dest, "opt/szkr/include"), "-L"+lib, "-lsazukari"))
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+lib)
	run(t, cmd)
}
