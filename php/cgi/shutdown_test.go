package cgi

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestShutdownServesQueue: requests in flight and in the queue get their
// responses before the processes end.
func TestShutdownServesQueue(t *testing.T) {
	s := startSite(t, Options{Workers: 2})
	s.full(t)
	_, release1, done1 := s.hold(t, t.Context(), "hold")
	_, release2, done2 := s.hold(t, t.Context(), "hold")
	done := []<-chan error{done1, done2}
	for range 5 {
		waiting := make(chan error, 1)
		r := request(t, "")
		go func() {
			_, _, _, err := s.send(r)
			waiting <- err
		}()
		done = append(done, waiting)
	}
	eventually(t, "five are queued", func() bool { return s.Status().Queued == 5 })
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	eventually(t, "connections are refused", func() bool {
		c, err := net.Dial("unix", s.Address())
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	release1()
	release2()
	for i, d := range done {
		if err := <-d; err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	s.leftNothing(t)
}

// TestShutdownDeadline: a process that goes on beyond the context is killed.
func TestShutdownDeadline(t *testing.T) {
	s := startSite(t, Options{Workers: 2})
	pid, _, done := s.hold(t, t.Context(), "hold")
	reason := errors.New("time is up")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(reason)
	if err := s.Shutdown(ctx); !errors.Is(err, reason) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-done; err == nil {
		t.Error("the request succeeded")
	}
	if alive(pid) {
		t.Error("the process is left")
	}
	s.leftNothing(t)
}

func TestShutdownUnstarted(t *testing.T) {
	s := newSite(t, Options{})
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	if err := s.Start(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Start: %v", err)
	}
}

// TestConcurrentStartAndShutdown: whichever is first, nothing is left.
func TestConcurrentStartAndShutdown(t *testing.T) {
	for range 15 {
		s := newSite(t, Options{Workers: 3})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := s.Start(context.Background()); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrStarted) {
					t.Errorf("Start: %v", err)
				}
			})
			wg.Go(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				s.leftNothing(t)
			})
			wg.Go(func() { s.Status() })
		}
		wg.Wait()
	}
}

// TestShutdownWhileCrashing: Shutdown doesn't wait for a backoff.
func TestShutdownWhileCrashing(t *testing.T) {
	dir := openDir(t, 0o755)
	s := startSite(t, Options{Workers: 1, Command: writeScript(t, dir, `exec php-cgi "$@"`)})
	writeScript(t, dir, "exit 7")
	syscall.Kill(s.pids()[0], syscall.SIGKILL)
	eventually(t, "it pauses", func() bool { return strings.Contains(s.logs.String(), `ending="exit status 7"`) })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestDaemonKilled: after SIGKILL of the daemon no php-cgi is left, and the next
// Start removes its folder.
func TestDaemonKilled(t *testing.T) {
	dir := openDir(t, 0o755)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PHPCGI_TEST_DAEMON="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var pids []int
	for _, f := range strings.Fields(line) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			break
		}
		pids = append(pids, pid)
	}
	if len(pids) != 3 {
		t.Errorf("it says %q, %v", line, err)
	}
	for _, pid := range pids {
		if !lives(pid) {
			t.Errorf("there is no process %d", pid)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		eventually(t, "process "+strconv.Itoa(pid)+" is gone", func() bool { return !lives(pid) })
	}
	left, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*"))
	if len(left) != 2 || left[1] != left[0]+codeSuffix { // Glob sorts them
		t.Fatalf("folders %v", left)
	}
	makeOld(t, left[0])
	s := startSite(t, Options{Workers: 1, SocketDir: dir})
	for _, folder := range left {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", folder, err)
		}
	}
	s.get(t, "")
}
