//go:build long

package libsazukari_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLongMake runs the tests of the C library that take minutes: gcc's
// analyzer, valgrind, the thread sanitizer, fuzzers for up to two minutes each.
func TestLongMake(t *testing.T) {
	for tool, pkg := range map[string]string{"valgrind": "valgrind", "clang": "clang and libclang-rt-14-dev"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install %s with apt-get", tool, pkg)
		}
	}
	dir := programs(t)
	for _, target := range []string{"analyze", "valgrind", "race", "fuzz"} {
		t.Run(target, func(t *testing.T) {
			out := run(t, exec.Command("make", "-s", target, "BUILD="+dir))
			t.Logf("%s", strings.TrimSpace(out))
			if target != "fuzz" && !strings.Contains(out, "ok ") {
				t.Errorf("nothing ran")
			}
			if target == "fuzz" && strings.Count(out, "Done ") != 5 {
				t.Errorf("not every fuzzer ran")
			}
		})
	}
}
