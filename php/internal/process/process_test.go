package process

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"slices"
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

// TestOrphanHoldsTheOutput: a child that has left the group, and holds the pipe of the
// output open, doesn't keep its reader.
func TestOrphanHoldsTheOutput(t *testing.T) {
	p := startShell(t, false, "export leader=$$; setsid sh -c 'echo $$; kill $leader; exec sleep 1000' & wait")
	await(t, p)
	var child int
	if _, err := fmt.Sscan(p.Output.Tail(), &child); err != nil {
		t.Fatal(err)
	}
	if !runs(child) {
		t.Fatal("the child has ended with the group")
	}
	defer syscall.Kill(child, syscall.SIGKILL)
	select {
	case <-p.logged:
	case <-time.After(20 * time.Second):
		t.Error("the output is still read")
	}
}

// TestStartFails: a program that can't be started is an error, after which the Spawner
// starts others.
func TestStartFails(t *testing.T) {
	s, err := NewSpawner(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := NewOutput("x", slog.New(slog.DiscardHandler), nil)
	if p, err := s.Start(exec.Command("/nonexistent"), out); err == nil || p != nil {
		t.Errorf("%v, %v", p, err)
	}
	p, err := s.Start(exec.Command("/bin/true"), out)
	if err != nil {
		t.Fatal(err)
	}
	await(t, p)
}

func TestLived(t *testing.T) {
	p := startShell(t, false, "exit 0")
	await(t, p)
	if lived := p.Lived(); lived <= 0 || lived > time.Since(p.Started) {
		t.Errorf("it lived for %v", lived)
	}
}

func TestJitter(t *testing.T) {
	for n, least := range map[int64]int64{-7: 0, 0: 0, 1: 1, 9: 9, 10: 9, 1000: 900} {
		lowest, highest := int64(1<<62), int64(-1)
		for range 10_000 {
			got := Jitter(n)
			lowest, highest = min(lowest, got), max(highest, got)
		}
		if lowest != least || highest != max(0, n) {
			t.Errorf("Jitter(%d) is %d to %d, want %d to %d", n, lowest, highest, least, max(0, n))
		}
	}
}

// TestIdentity: processes get the numbers of the user, that user's groups alone, and the
// group that takes the place of the user's own.
func TestIdentity(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the user")
	}
	u, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroup("daemon")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ user, group, uid, gid, groups string }{
		{"www-data", "", u.Uid, u.Gid, strings.Join(groups, " ")},
		{"www-data", "daemon", u.Uid, g.Gid, strings.Join(groups, " ")},
		{"", "daemon", "0", g.Gid, ""},
	} {
		id, err := LookupIdentity(c.user, c.group)
		if err != nil {
			t.Fatal(err)
		}
		cred := id.Credential()
		if got := strings.Trim(fmt.Sprint(cred.Groups), "[]"); fmt.Sprint(cred.Uid) != c.uid || fmt.Sprint(cred.Gid) != c.gid || got != c.groups {
			t.Errorf("%q, %q: %+v, want %+v", c.user, c.group, cred, c)
		}
		if id.isRoot() != (c.user == "") {
			t.Errorf("%q, %q: isRoot is %t", c.user, c.group, id.isRoot())
		}
		home := "HOME=" + u.HomeDir
		if has := slices.Contains(Environment(id, true, nil), home); has != (c.user != "") {
			t.Errorf("%q, %q: the environment has %s: %t", c.user, c.group, home, has)
		}
	}
}

// TestIdentityTakesRoot: another user than root can't start processes of other users.
func TestIdentityTakesRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := LookupIdentity("root", ""); err == nil {
			t.Error("a user is accepted")
		}
		return
	}
	cmd := exec.Command(copyTest(t), "-test.run=TestIdentityTakesRoot")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
