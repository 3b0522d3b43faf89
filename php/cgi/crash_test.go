package cgi

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mkd/proxy/roundtrip"
)

// TestMaxRequestsUnderLoad: no request fails although each process ends after
// its fifth.
func TestMaxRequestsUnderLoad(t *testing.T) {
	s := startSite(t, Options{Workers: 4, MaxRequests: 5})
	served, failures := s.load(t, 8, 400)
	if len(failures) > 0 {
		t.Fatalf("%d failures, as in %v", len(failures), failures[0])
	}
	for pid, n := range served {
		if n > 5 {
			t.Errorf("process %d served %d requests", pid, n)
		}
	}
	s.full(t)
	if st := s.Status(); st.Started < 80 || st.Crashes != 0 {
		t.Errorf("Status: %+v", st)
	}
}

// TestKillUnderLoad: a killed process costs at most the request that it had, and
// is replaced.
func TestKillUnderLoad(t *testing.T) {
	s := startSite(t, Options{Workers: 4})
	s.full(t)
	stop := make(chan struct{})
	var good atomic.Int64
	var mu sync.Mutex
	var failures []error
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, _, err := s.send(request(t, "")); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				} else {
					good.Add(1)
				}
			}
		})
	}
	const kills = 6
	for range kills {
		before := good.Load()
		eventually(t, "requests are served", func() bool { return good.Load() > before+20 && len(s.pids()) > 0 })
		syscall.Kill(s.pids()[0], syscall.SIGKILL)
	}
	close(stop)
	clients.Wait()
	if len(failures) > kills {
		t.Errorf("%d failures for %d kills", len(failures), kills)
	}
	for _, err := range failures {
		var e *roundtrip.Error
		if !errors.As(err, &e) || !e.Sent {
			t.Errorf("a request failed that had not reached a process: %v", err)
		}
	}
	s.full(t)
	s.get(t, "")
}

// TestCrash: a script that crashes PHP loses only its own request.
func TestCrash(t *testing.T) {
	s := startSite(t, Options{Workers: 2})
	for range 3 {
		if _, _, _, err := s.send(request(t, "crash")); err == nil {
			t.Fatal("it didn't crash")
		}
		s.get(t, "")
	}
	eventually(t, "three crashes are counted", func() bool { return s.Status().Crashes == 3 })
	s.full(t)
	if !strings.Contains(s.logs.String(), `ending="signal: segmentation fault`) {
		t.Errorf("the log doesn't say how they ended")
	}
}

// TestChildrenEnd: processes that a script started end with its process.
func TestChildrenEnd(t *testing.T) {
	s := startSite(t, Options{Workers: 1})
	pid, rest := s.get(t, "child")
	var child int
	for _, c := range rest {
		child = 10*child + int(c-'0')
	}
	if !lives(child) {
		t.Fatalf("there is no child %q", rest)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	eventually(t, "the child is gone", func() bool { return !lives(child) })
}

func TestBackoff(t *testing.T) {
	exit := func(status int) syscall.WaitStatus { return syscall.WaitStatus(status << 8) }
	const segv = syscall.WaitStatus(syscall.SIGSEGV)
	const ms = time.Millisecond
	type end struct {
		status syscall.WaitStatus
		lived  time.Duration
		pause  time.Duration
	}
	for name, ends := range map[string][]end{
		"served enough":        {{exit(0), 20 * ms, 0}, {exit(0), 20 * ms, 0}, {exit(0), time.Hour, 0}},
		"last script failed":   {{exit(255), time.Minute, 0}, {exit(3), time.Minute, 0}},
		"ends at once":         {{exit(0), ms, 100 * ms}, {exit(0), ms, 200 * ms}},
		"crashes now and then": {{segv, time.Minute, 100 * ms}, {segv, time.Minute, 100 * ms}},
		"crashes all the time": {{segv, 50 * ms, 100 * ms}, {segv, 50 * ms, 200 * ms}, {segv, 50 * ms, 400 * ms}, {segv, 50 * ms, 800 * ms},
			{segv, 50 * ms, time.Second}, {segv, 50 * ms, time.Second}, {exit(0), 50 * ms, 0}, {segv, 50 * ms, 100 * ms}},
		"doesn't start": {{exit(255), 30 * ms, 100 * ms}, {exit(255), 30 * ms, 200 * ms}, {exit(255), 30 * ms, 400 * ms}, {exit(255), 30 * ms, 800 * ms},
			{exit(255), 30 * ms, 1600 * ms}, {exit(255), 30 * ms, 3200 * ms}, {exit(255), 30 * ms, 6400 * ms}, {exit(255), 30 * ms, 12800 * ms},
			{exit(255), 30 * ms, 25600 * ms}, {exit(255), 30 * ms, 30 * time.Second}, {exit(255), 30 * ms, 30 * time.Second}, {exit(255), time.Minute, 0}},
	} {
		b := backoff{sound: minSoundLife}
		for i, e := range ends {
			if got := b.after(e.status, e.lived, false); got != e.pause {
				t.Errorf("%s, %d: a pause of %s, want %s", name, i, got, e.pause)
			}
		}
	}
}

// TestBackoffOfKilled: a process that the Server itself has killed is replaced at once, and
// ends a series of crashes.
func TestBackoffOfKilled(t *testing.T) {
	const killed, segv = syscall.WaitStatus(syscall.SIGKILL), syscall.WaitStatus(syscall.SIGSEGV)
	b := backoff{sound: minSoundLife}
	for range 3 {
		b.after(segv, 0, false)
	}
	if pause := b.after(killed, 0, true); pause != 0 {
		t.Errorf("a pause of %s", pause)
	}
	if pause := b.after(segv, 0, false); pause != minPause {
		t.Errorf("a pause of %s after the next crash, want %s", pause, minPause)
	}
}

// TestStartFailsLater: a php-cgi that can't be started any more is tried again
// after pauses, and serves once it can be started.
func TestStartFailsLater(t *testing.T) {
	dir := openDir(t, 0o755)
	command := writeScript(t, dir, `exec php-cgi "$@"`)
	s := startSite(t, Options{Workers: 1, Command: command})
	writeScript(t, dir, "echo broken; exit 7")
	syscall.Kill(s.pids()[0], syscall.SIGKILL)
	eventually(t, "it was tried again", func() bool { return strings.Count(s.logs.String(), `ending="exit status 7"`) >= 2 })
	if n := s.Status().Started; n > 6 {
		t.Errorf("it was started %d times", n)
	}
	writeScript(t, dir, `exec php-cgi "$@"`)
	s.get(t, "") // waits in the queue
}
