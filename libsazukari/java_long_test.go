//go:build long

package libsazukari_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLongJava builds the Java binding and runs its JUnit tests against mkd, with
// the checks that the JVM has for native code.
func TestLongJava(t *testing.T) {
	for tool, pkg := range map[string]string{"javac": "default-jdk-headless", "java": "default-jdk-headless"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install it with 'apt-get install %s'", tool, pkg)
		}
	}
	const junit = "/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar"
	m := startMKD(t)
	dir := filepath.Join(programs(t), "java")
	run(t, exec.Command("make", "-s", "-C", "java", "tests", "BUILD="+dir, "JUNIT="+junit))
	for _, check := range []string{"-Xcheck:jni", "-Xshare:auto"} {
		cmd := exec.Command("java", check, "-Xmx256m", "-Djava.library.path="+dir, "-Dserver="+m.address,
			"-Dkey="+filepath.Join(m.dir, "server.key.pub"), "-cp", strings.Join([]string{filepath.Join(dir, "test-classes"),
				filepath.Join(dir, "sazukari.jar"), junit}, ":"), "org.junit.runner.JUnitCore", "com.nmi.sazukari.BindingTest")
		out := run(t, cmd)
		t.Log(out)
		if !regexp.MustCompile(`OK \(14 tests\)`).MatchString(out) {
			t.Errorf("not all tests ran:\n%s", out)
		}
		if strings.Contains(out, "WARNING in native method") {
			t.Errorf("the JVM found faults of native code:\n%s", out)
		}
	}
}
