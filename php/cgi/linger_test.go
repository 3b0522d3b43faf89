package cgi

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLinger: a script that is stuck in the kernel, where neither PHP's time limit
// nor the end of its connection reaches it, is killed some time after its client
// has left. A script with a client isn't.
func TestLinger(t *testing.T) {
	opt := Options{Workers: 2, Linger: 200 * time.Millisecond, Ini: map[string]string{"max_execution_time": "1"}}
	if os.Geteuid() == 0 {
		opt.User = "www-data"
	}
	s := startSite(t, opt)
	lock, err := os.Create(filepath.Join(s.dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := lock.Chmod(0o666); err != nil { // the script opens it, too
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	held, release, heldDone := s.hold(t, t.Context(), "hold")
	ctx, cancel := context.WithCancel(t.Context())
	stuck, _, stuckDone := s.hold(t, ctx, "lock&lock="+url.QueryEscape(lock.Name()))
	cancel()
	if err := <-stuckDone; err == nil {
		t.Fatal("the request that was broken off succeeded")
	}
	eventually(t, "the stuck process is gone", func() bool { return !alive(stuck) })
	eventually(t, "it is replaced", func() bool { return s.Status().Started == 3 })
	release()
	if err := <-heldDone; err != nil {
		t.Errorf("the request that has its client: %v", err)
	}
	if st := s.Status(); st.Lingered != 1 || st.Crashes != 0 || !alive(held) {
		t.Errorf("Status: %+v", st)
	}
	if !strings.Contains(s.logs.String(), "it goes on with a request whose client has closed the connection") {
		t.Error("the log doesn't tell")
	}
}

// TestLingerWaits: a script that goes on without its client gets its time.
func TestLingerWaits(t *testing.T) {
	s := startSite(t, Options{Workers: 1, Linger: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	pid, release, done := s.hold(t, ctx, "hold&ignore=1")
	cancel()
	<-done
	eventually(t, "the request has lost its client", func() bool {
		found, err := s.findLingering()
		if err != nil {
			t.Fatal(err)
		}
		return len(found) == 1 && found[0].p.PID == pid
	})
	release()
	if got, _ := s.get(t, ""); got != pid {
		t.Errorf("process %d was replaced by %d", pid, got)
	}
}

// TestShutdownEndsStuck: a stuck script without a client doesn't block a Shutdown
// that has no deadline.
func TestShutdownEndsStuck(t *testing.T) {
	s := startSite(t, Options{Workers: 1, Linger: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	_, _, done := s.hold(t, ctx, "hold&ignore=1")
	cancel()
	<-done
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestOpenSocketsOfUser: a thread that takes a user's place can look at that
// user's process, and other threads of this process don't change.
func TestOpenSocketsOfUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the user")
	}
	s := startSite(t, Options{Workers: 1, User: "www-data"})
	secret := filepath.Join(t.TempDir(), "server.key")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var inodes []uint32
	var err, denied error
	as(s.identity.Credential(), func() {
		inodes, err = readSockets(s.pids()[0])
		_, denied = os.ReadFile(secret)
	})
	if len(inodes) == 0 || err != nil {
		t.Errorf("sockets %v, %v", inodes, err)
	}
	if !errors.Is(denied, fs.ErrPermission) {
		t.Errorf("as the user it reads a key: %v", denied)
	}
	for range 100 {
		if _, err := os.ReadFile(secret); err != nil {
			t.Fatalf("a thread is still the user's: %v", err)
		}
	}
}

// FuzzSockets: no message of the kernel makes the parser panic.
func FuzzSockets(f *testing.F) {
	listener := []byte("\x01\x01\x0a\x00\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x07\x00\x00\x00/a\x00\x00" + "\x0c\x00\x04\x00\x02\x00\x00\x00\x80\x00\x00\x00" + "\x05\x00\x06\x00\x00\x00\x00\x00")
	orphan := []byte("\x01\x01\x01\x00\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x07\x00\x00\x00/a\x00\x00" + "\x05\x00\x06\x00\x03")
	var s sockets
	s.add(listener, "/a")
	s.add(orphan, "/a")
	s.add(orphan, "/b")
	if s.queued != 2 || len(s.accepted) != 1 || !s.accepted[0].orphan {
		f.Fatalf("%+v", s)
	}
	f.Add(listener)
	f.Add(orphan)
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sockets
		s.add(data, "/a")
		if len(s.accepted) > 1 {
			t.Fatalf("%+v", s)
		}
	})
}

// TestKillLingering: a process isn't killed before its request has gone on without a client
// for Linger, all of it at a stretch, and it counts once.
func TestKillLingering(t *testing.T) {
	s := startSite(t, Options{Workers: 1, Linger: time.Hour})
	s.mu.Lock()
	p := s.Server.list()[0]
	s.mu.Unlock()
	request := lingering{p, 1}
	found := []lingering{request}
	began := time.Now()
	since := s.killLingering(found, nil)
	first := since[request]
	if p.lingered.Load() || first.Before(began) {
		t.Fatalf("it is killed at once, as known since %v", first)
	}
	if since = s.killLingering(found, since); since[request] != first {
		t.Errorf("it is known since %v, was %v", since[request], first)
	}
	if since = s.killLingering(nil, since); len(since) != 0 {
		t.Errorf("a request that has ended is still known: %v", since)
	}
	for range 2 {
		s.killLingering(found, map[lingering]time.Time{request: began.Add(-2 * time.Hour)})
	}
	eventually(t, "the process is gone", func() bool { return !alive(p.PID) })
	if n := s.Status().Lingered; n != 1 {
		t.Errorf("it counts %d times", n)
	}
}
