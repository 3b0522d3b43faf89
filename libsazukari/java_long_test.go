//go:build long

package libsazukari_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const junit = "/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar"

// java builds the binding and the client in Java, and returns where they are.
func java(t *testing.T) (dir string) {
	t.Helper()
	for _, tool := range []string{"javac", "java", "jar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install it with 'apt-get install default-jdk-headless'", tool)
		}
	}
	if _, err := os.Stat(strings.Split(junit, ":")[0]); err != nil {
		t.Fatal("JUnit is missing: install it with 'apt-get install junit4'")
	}
	dir = filepath.Join(programs(t), "java")
	run(t, exec.Command("make", "-s", "-C", "java", "tests", "BUILD="+dir, "JUNIT="+junit))
	return dir
}

// runJUnit runs test classes against mkd, and checks how many tests ran.
func runJUnit(t *testing.T, m *mkd, jar string, tests int, options []string, classes ...string) string {
	t.Helper()
	dir := java(t)
	vectors, err := filepath.Abs("../vectors")
	if err != nil {
		t.Fatal(err)
	}
	args := append(options, "-Xmx256m", "-Djava.library.path="+dir, "-Dserver="+m.address, "-Dvectors="+vectors,
		"-Dkey="+filepath.Join(m.dir, "server.key.pub"),
		"-cp", strings.Join([]string{filepath.Join(dir, "test-classes"), filepath.Join(dir, jar), junit}, ":"), "org.junit.runner.JUnitCore")
	out := run(t, exec.Command("java", append(args, classes...)...))
	t.Log(out)
	if want := fmt.Sprintf("OK (%d tests)", tests); !strings.Contains(out, want) {
		t.Errorf("it isn't %s:\n%s", want, out)
	}
	return out
}

// TestLongJNI runs the JUnit tests of the Java binding, with and without the
// checks that the JVM has for native code.
func TestLongJNI(t *testing.T) {
	m := startMKD(t)
	for _, check := range []string{"-Xcheck:jni", "-Xshare:auto"} {
		out := runJUnit(t, m, "sazukari.jar", 16, []string{check}, "com.nmi.sazukari.BindingTest")
		if strings.Contains(out, "WARNING in native method") {
			t.Error("the JVM found faults of native code")
		}
	}
}

// TestLongJavaClient runs the JUnit tests of the client in plain Java.
func TestLongJavaClient(t *testing.T) {
	m := startMKD(t)
	runJUnit(t, m, "megaki-client.jar", 31, nil, "dev.megaki.VectorsTest", "dev.megaki.HttpTest", "dev.megaki.ClientTest")
}

// TestLongJavaFuzz gives the parsers of the client in plain Java a million changed inputs.
func TestLongJavaFuzz(t *testing.T) {
	runJUnit(t, startMKD(t), "megaki-client.jar", 4, []string{"-Dfuzz=1000000"}, "dev.megaki.FuzzTest")
}

// TestLongMaven builds and tests the client in plain Java by its pom.xml, with the
// plugins that Debian packages.
func TestLongMaven(t *testing.T) {
	const repository = "/usr/share/maven-repo"
	for path, pkg := range map[string]string{
		"/usr/bin/mvn": "maven",
		repository + "/org/apache/maven/plugins/maven-compiler-plugin":  "libmaven-compiler-plugin-java",
		repository + "/org/apache/maven/plugins/maven-resources-plugin": "libmaven-resources-plugin-java",
		repository + "/org/apache/maven/plugins/maven-surefire-plugin":  "libsurefire-java",
		repository + "/org/apache/maven/plugins/maven-jar-plugin":       "libmaven-jar-plugin-java",
	} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s is missing: install it with 'apt-get install %s'", path, pkg)
		}
	}
	vectors, err := filepath.Abs("../vectors")
	if err != nil {
		t.Fatal(err)
	}
	m, dir := startMKD(t), t.TempDir()
	run(t, exec.Command("cp", "-r", "java/client/pom.xml", "java/client/src", dir))
	cmd := exec.Command("mvn", "-B", "-o", "-Dmaven.repo.local="+repository, "-Dvectors="+vectors, "-Dserver="+m.address,
		"-Dkey="+filepath.Join(m.dir, "server.key.pub"), "package")
	cmd.Dir = dir
	if out := run(t, cmd); !strings.Contains(out, "Tests run: 35, Failures: 0, Errors: 0, Skipped: 0") {
		t.Errorf("not all tests ran:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "target/megaki-client-1.0.0.jar")); err != nil {
		t.Error(err)
	}
}
