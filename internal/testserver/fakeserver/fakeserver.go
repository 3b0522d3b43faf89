// Package fakeserver plays servers whose connections a test handles itself, byte by
// byte.
package fakeserver

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server accepts connections until its test ends.
type Server struct {
	Network, Address string

	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

// Start serves each connection of a listener with f, which gets the connection's number,
// from 1. When the test ends, the connections are closed, and Start's cleanup returns
// when all calls of f have.
func Start(t testing.TB, l net.Listener, f func(c net.Conn, n int)) *Server {
	s := &Server{Network: l.Addr().Network(), Address: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open = append(s.open, c)
			n := len(s.open)
			if s.closed { // it came with the end of the test
				c.Close()
			}
			s.mu.Unlock()
			all.Go(func() {
				defer c.Close()
				f(c, n)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		s.closed = true
		for _, c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

// Connections returns how many connections were accepted.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// TCP listens at a free port.
func TCP(t testing.TB) net.Listener {
	t.Helper()
	return listen(t, "tcp", "127.0.0.1:0")
}

// Unix listens at a unix socket.
func Unix(t testing.TB) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "fake") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return listen(t, "unix", filepath.Join(dir, "s"))
}

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Eventually waits until ok returns true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

// NoLeaks checks that a test leaves no goroutine behind.
func NoLeaks(t testing.TB) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<16)
				t.Errorf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
				return
			}
		}
	})
}

// WithoutDescriptors calls f while the process may open no further descriptor.
func WithoutDescriptors(t testing.TB, f func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
