package process

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startShell starts a shell command, which ends with the test.
func startShell(t *testing.T, sandbox bool, command string) *Process {
	t.Helper()
	s, err := NewSpawner(nil, sandbox)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Start(exec.Command("/bin/sh", "-c", command), NewOutput("sh", slog.New(slog.DiscardHandler), nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		await(t, p)
		s.Close()
	})
	return p
}

func await(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(20 * time.Second):
		t.Fatal("the process doesn't end")
	}
	p.AwaitOutput()
}

func TestEnding(t *testing.T) {
	for command, want := range map[string]string{"exit 7": "exit status 7", "kill -TERM $$": "signal: terminated"} {
		p := startShell(t, false, "echo last words; "+command)
		await(t, p)
		if p.Ending() != want || p.Output.Tail() != "last words\n" {
			t.Errorf("%s: %s, %q", command, p.Ending(), p.Output.Tail())
		}
	}
}

// TestGroupEndsWithItsLeader: the children of a process end with it, however it
// ends.
func TestGroupEndsWithItsLeader(t *testing.T) {
	p := startShell(t, false, "sleep 1000 & echo $!")
	await(t, p)
	var child int
	if _, err := fmt.Sscan(p.Output.Tail(), &child); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); runs(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child goes on")
		}
	}
}

// runs reports whether there is a process that isn't a zombie.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// TestSignalAfterTheEnd: a signal to an ended process isn't sent, since its
// number may be another's.
func TestSignalAfterTheEnd(t *testing.T) {
	p := startShell(t, false, "exit 0")
	await(t, p)
	p.PID = syscall.Getpgrp() // a signal would end the test
	p.Kill()
}

func TestIdentityErrors(t *testing.T) {
	if id, err := LookupIdentity("", ""); id != nil || err != nil {
		t.Errorf("%v, %v", id, err)
	}
	for _, names := range [][2]string{{"no-such-user", ""}, {"", "no-such-group"}} {
		if _, err := LookupIdentity(names[0], names[1]); err == nil {
			t.Errorf("%q is accepted", names)
		}
	}
}
