package rawio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dialUnix returns both ends of a connection that DialUnix has made.
func dialUnix(t *testing.T, address string) (c, peer net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err = DialUnix(address); err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); peer.Close() })
	return c, peer
}

func TestDialUnix(t *testing.T) {
	dir := t.TempDir()
	longest := filepath.Join(dir, "s")
	longest += strings.Repeat("s", 107-len(longest)) // the kernel's limit (unix(7))
	for _, address := range []string{filepath.Join(dir, "socket"), longest, fmt.Sprintf("@mkd-rawio-%d", os.Getpid())} {
		c, peer := dialUnix(t, address)
		if c != net.Conn(New(c)) {
			t.Errorf("%s: New makes another Conn of one", address)
		}
		if got := c.RemoteAddr(); got.Network() != "unix" || got.String() != address {
			t.Errorf("%s: RemoteAddr is %v %v", address, got.Network(), got)
		}
		for _, size := range []int{5, Most + 1} {
			sent := strings.Repeat("x", size)
			go io.WriteString(c, sent)
			got := make([]byte, size)
			if _, err := io.ReadFull(peer, got); err != nil || string(got) != sent {
				t.Errorf("%s: %d bytes to the peer: %v", address, size, err)
			}
			go io.WriteString(peer, sent)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != sent {
				t.Errorf("%s: %d bytes from the peer: %v", address, size, err)
			}
		}
		if err := c.(*Conn).CloseWrite(); err != nil {
			t.Errorf("%s: CloseWrite: %v", address, err)
		}
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: after CloseWrite the peer reads %d, %v", address, n, err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: at the deadline: %v", address, err)
		}
		c.SetReadDeadline(time.Time{})
		time.AfterFunc(10*time.Millisecond, func() { c.Close() })
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: closed during a read: %v", address, err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: writing after Close: %v", address, err)
		}
		if err := c.Close(); err == nil {
			t.Errorf("%s: closing twice succeeds", address)
		}
	}
}

// TestDialUnixErrors compares errors with those of package net.
func TestDialUnixErrors(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, test := range []struct {
		address string
		want    syscall.Errno
	}{
		{filepath.Join(dir, "missing"), syscall.ENOENT},
		{stale, syscall.ECONNREFUSED},
		{filepath.Join(dir, strings.Repeat("s", 108)), syscall.EINVAL},
		{"@" + strings.Repeat("s", 108), syscall.EINVAL},
	} {
		_, err := DialUnix(test.address)
		if !errors.Is(err, test.want) {
			t.Errorf("%.20s…: %v, want %v", test.address, err, test.want)
		}
		_, want := net.Dial("unix", test.address)
		var a, b *net.OpError
		if !errors.As(err, &a) || !errors.As(want, &b) || a.Op != b.Op || a.Net != b.Net || a.Addr.String() != b.Addr.String() {
			t.Errorf("%v, net returns %v", err, want)
		}
	}
	if _, err := DialUnix(""); err == nil {
		t.Error("an empty name can be dialled")
	}
}

// TestDialUnixWriteErrors: errors of writes are those of package net, however long the writes are.
func TestDialUnixWriteErrors(t *testing.T) {
	for _, size := range []int{1, Most, Most + 1} {
		for name, end := range map[string]func(c, peer net.Conn){
			"closed":           func(c, _ net.Conn) { c.Close() },
			"late":             func(c, _ net.Conn) { c.SetDeadline(time.Unix(1, 0)) },
			"closed elsewhere": func(_, peer net.Conn) { peer.Close() },
		} {
			address := filepath.Join(t.TempDir(), "s")
			c, peer := dialUnix(t, address)
			end(c, peer)
			_, got := c.Write(make([]byte, size))
			c, peer = pair(t, "unix")
			end(c, peer)
			_, err := c.(*Conn).Conn.Write(make([]byte, size))
			var a, b *net.OpError
			if !errors.As(got, &a) || !errors.As(err, &b) || a.Op != b.Op || a.Err.Error() != b.Err.Error() ||
				errors.Is(a, net.ErrClosed) != errors.Is(b, net.ErrClosed) || a.Timeout() != b.Timeout() {
				t.Errorf("%s, %d bytes: %v, net returns %v", name, size, got, err)
			}
		}
	}
}

// TestDialUnixQueueFull fills the queue of a socket that nobody accepts from.
func TestDialUnixQueueFull(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	address := filepath.Join(t.TempDir(), "full")
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: address}), syscall.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c, err := DialUnix(address)
		if err != nil {
			if !errors.Is(err, syscall.EAGAIN) {
				t.Errorf("got %v, want EAGAIN", err)
			}
			return
		}
		defer c.Close()
	}
	t.Error("10 connections to a queue of 1")
}

func BenchmarkDialUnix(b *testing.B) {
	address := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", address)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for _, d := range []struct {
		name string
		dial func() (net.Conn, error)
	}{
		{"net", func() (net.Conn, error) { return net.Dial("unix", address) }},
		{"raw", func() (net.Conn, error) { return DialUnix(address) }},
	} {
		b.Run(d.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := d.dial()
				if err != nil {
					b.Fatal(err)
				}
				c.Read(make([]byte, 1)) // its end
				c.Close()
			}
		})
	}
}
