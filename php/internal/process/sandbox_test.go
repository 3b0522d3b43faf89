package process

import (
	"errors"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// status returns the fields of /proc/PID/status in a text.
func status(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

// printPrivileges is a shell command; the tail of an output keeps 2 KiB only.
const printPrivileges = "grep -E '^(Uid|NoNewPrivs|Cap)' /proc/self/status"

const noCapabilities = "0000000000000000"

// TestSandbox: a process in a sandbox has and can gain no capabilities, even one
// of root. This process, and processes outside of a sandbox, stay as they are.
func TestSandbox(t *testing.T) {
	own := func() map[string]string {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		return status(string(text))
	}
	before := own()
	inside := startShell(t, true, printPrivileges)
	outside := startShell(t, false, printPrivileges)
	await(t, inside)
	await(t, outside)
	got := status(inside.Output.Tail())
	want := map[string]string{"NoNewPrivs": "1", "CapInh": noCapabilities, "CapPrm": noCapabilities, "CapEff": noCapabilities, "CapAmb": noCapabilities}
	if os.Geteuid() == 0 { // takes CAP_SETPCAP
		want["CapBnd"] = noCapabilities
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("in the sandbox: %s is %s, want %s", name, got[name], value)
		}
	}
	got, after := status(outside.Output.Tail()), own()
	for _, name := range []string{"NoNewPrivs", "CapBnd", "CapEff"} {
		if got[name] != before[name] || got[name] == "" {
			t.Errorf("outside of the sandbox: %s is %s, want %s", name, got[name], before[name])
		}
		if after[name] != before[name] {
			t.Errorf("this process: %s became %s", name, after[name])
		}
	}
}

// copyTest copies the test binary to a folder that all users can enter.
func copyTest(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mkd-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(dir+"/test", binary, 0o755)
	}
	if err = errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir + "/test"
}

// TestSandboxWithoutRoot: a daemon that isn't root, and has a capability as by
// systemd's AmbientCapabilities, doesn't pass it on to a process in a sandbox.
func TestSandboxWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a process of another user")
	}
	binary := copyTest(t)
	const netBindService = 10
	for mode, want := range map[string]map[string]string{
		"outside": {"NoNewPrivs": "0", "CapEff": "0000000000000400", "CapAmb": "0000000000000400"},
		"sandbox": {"NoNewPrivs": "1", "CapInh": noCapabilities, "CapPrm": noCapabilities, "CapEff": noCapabilities, "CapAmb": noCapabilities},
	} {
		cmd := exec.Command(binary)
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "TEST_SPAWNER="+mode)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{netBindService}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := status(string(out))
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %q, want %s", mode, name, got[name], value)
			}
		}
	}
}

// TestSandboxOfWeakRoot: root without CAP_SETPCAP, as in some containers, can't
// make a sandbox for processes of root, which would keep their capabilities.
func TestSandboxOfWeakRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root")
	}
	cmd := exec.Command("setpriv", "--bounding-set=-setpcap", copyTest(t))
	cmd.Env = append(os.Environ(), "TEST_SPAWNER=sandbox")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "prctl(PR_CAPBSET_DROP): operation not permitted") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestMain runs the test binary as a daemon, if a test has started it for that.
func TestMain(m *testing.M) {
	mode := os.Getenv("TEST_SPAWNER")
	if mode == "" {
		os.Exit(m.Run())
	}
	s, err := NewSpawner(nil, mode == "sandbox")
	if err != nil {
		log.Fatal(err)
	}
	p, err := s.Start(exec.Command("/bin/sh", "-c", printPrivileges), NewOutput("sh", slog.New(slog.DiscardHandler), nil))
	if err != nil {
		log.Fatal(err)
	}
	<-p.Exited()
	p.AwaitOutput()
	os.Stdout.WriteString(p.Output.Tail())
}
