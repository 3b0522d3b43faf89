package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestDetach detaches and attaches both ends again and again: neither notices.
func TestDetach(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		c, peer := pair(t, network)
		local, remote := c.LocalAddr(), c.RemoteAddr()
		var here net.Conn = c
		for range 3 {
			fd, err := Detach(here)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := here.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("writing to what is detached: %v", err)
			}
			if _, err := Detach(here); err == nil {
				t.Error("it can be detached again")
			}
			here = Attach(fd)
			if l, r := here.LocalAddr(), here.RemoteAddr(); l.String() != local.String() || r.String() != remote.String() || l.Network() != network {
				t.Errorf("%s: from %v to %v, want from %v to %v", network, l, r, local, remote)
			}
			var b [5]byte
			io.WriteString(peer, "hello")
			if _, err := io.ReadFull(here, b[:]); err != nil {
				t.Error(err)
			}
			here.Write(b[:])
			if _, err := io.ReadFull(peer, b[:]); err != nil || string(b[:]) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
			here.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := here.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("at the deadline: %v", err)
			}
		}
		if err := here.(*Conn).CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after CloseWrite: %v", err)
		}
		here.Close()
		if _, err := here.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading after Close: %v", err)
		}
	}
}

// TestDetachWithoutDescriptors: a socket of which there can be no other descriptor stays
// as it is.
func TestDetachWithoutDescriptors(t *testing.T) {
	c, peer := pair(t, "tcp")
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := Detach(c)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("%v, want EMFILE", err)
	}
	c.Write([]byte("x"))
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if fd, err := Detach(fakeConn{}); fd != -1 || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no socket: %d, %v", fd, err)
	}
}

type fakeConn struct{ net.Conn }

// BenchmarkDetach detaches a socket and attaches it again. It reports the CPU time, too.
func BenchmarkDetach(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	cpuTime := func() int64 {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return u.Utime.Nano() + u.Stime.Nano()
	}
	began := cpuTime()
	for b.Loop() {
		fd, err := Detach(c)
		if err != nil {
			b.Fatal(err)
		}
		c = Attach(fd)
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
	c.Close()
}
