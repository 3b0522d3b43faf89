package php

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestShutdown(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	under, waiting := make(chan error, 1), make(chan error, 1)
	go func() { _, err := do(p, "sleep 300"); under <- err }()
	eventually(t, "the worker is busy", func() bool { return busyWorkers(p) == 1 })
	go func() { _, err := do(p, "pid"); waiting <- err }()
	eventually(t, "a call waits", func() bool { return p.Status().Waiting == 1 })
	if err := p.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-under; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-waiting; err != ErrClosed {
		t.Errorf("the call that waited: %v", err)
	}
	if _, err := do(p, "pid"); err != ErrClosed {
		t.Errorf("a call after: %v", err)
	}
}

func TestShutdownCutsOff(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	under := make(chan error, 1)
	go func() { _, err := do(p, "deaf"); under <- err }()
	eventually(t, "the worker is busy", func() bool { return busyWorkers(p) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	var broken *WorkerError
	if err := <-under; !errors.As(err, &broken) {
		t.Errorf("the call in flight: %v", err)
	}
}

// TestChildrenOfWorkersEnd: a process that a script forks ends with its worker.
func TestChildrenOfWorkersEnd(t *testing.T) {
	p, _ := start(t, Options{MinWorkers: 1, MaxWorkers: 1})
	child, err := strconv.Atoi(mustDo(t, p, "fork"))
	if err != nil || !alive(child) {
		t.Fatalf("child %d: %v", child, err)
	}
	do(p, "exit")
	eventually(t, "the child ends", func() bool { return !alive(child) })
}

// TestWorkersEndWithTheirHost kills a process that hosts a pool. It also checks that
// the workers have no descriptors but their own.
func TestWorkersEndWithTheirHost(t *testing.T) {
	inherited, err := os.Open("pool_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	host := hostCommand(inherited)
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	fds, _ := lines.ReadString('\n')
	host.Process.Kill()
	host.Wait()
	pids := strings.Fields(line)
	if err != nil || len(pids) != 4 {
		t.Fatalf("the host says %q, %v", line, err)
	}
	if !strings.Contains(fds, "pipe:") {
		t.Errorf("a worker has the descriptors %q", fds)
	}
	for _, f := range strings.Fields(strings.ReplaceAll(fds, " (deleted)", "")) {
		if !strings.HasPrefix(f, "pipe:") && f != "/dev/null" && !strings.HasSuffix(f, "/arcangelo.php") &&
			!strings.HasPrefix(f, "/tmp/.ZendSem") && f != "/memfd:opcache_lock" && !strings.HasPrefix(f, "/proc/") {
			t.Errorf("a worker has %s", f)
		}
	}
	for _, f := range pids[:3] {
		pid, _ := strconv.Atoi(f)
		eventually(t, "the worker has ended", func() bool { return !alive(pid) })
	}
	child, _ := strconv.Atoi(pids[3]) // the death signal doesn't reach it
	syscall.Kill(child, syscall.SIGKILL)
}
