package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a connection, the first of them as a Conn.
func pair(t *testing.T, network string) (*Conn, net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	c := New(dialed)
	if c == nil {
		t.Fatal("New returns nil for a socket")
	}
	return c, accepted
}

func TestEcho(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			c, peer := pair(t, network)
			go io.Copy(peer, peer)
			for _, size := range []int{1, 4096, Most, Most + 1, 8 << 20} {
				sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				go c.Write(sent)
				got := make([]byte, size)
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("%d bytes didn't come back: %v", size, err)
				}
			}
		})
	}
}

// TestManyWriters: goroutines write at the same time; no piece may be cut by
// another, or be lost.
func TestManyWriters(t *testing.T) {
	c, peer := pair(t, "tcp")
	const writers, each, size = 8, 50, 20_000
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if n, err := c.Write(bytes.Repeat([]byte{byte(i)}, size)); n != size || err != nil {
					t.Errorf("wrote %d: %v", n, err)
				}
			}
		})
	}
	go func() { wg.Wait(); c.CloseWrite() }()
	pieces := 0
	for p := make([]byte, size); ; pieces++ {
		_, err := io.ReadFull(peer, p)
		if err == io.EOF {
			break
		}
		if err != nil || bytes.Count(p, p[:1]) != size {
			t.Fatalf("piece %d is mixed: %v", pieces, err)
		}
	}
	if pieces != writers*each {
		t.Errorf("%d pieces came, want %d", pieces, writers*each)
	}
}

// TestErrors compares errors with those of package net.
func TestErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(c, plain, peer net.Conn) error
		want error
	}{
		{"read deadline", func(c, _, _ net.Conn) error {
			c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		{"write deadline", func(c, _, _ net.Conn) error {
			c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			for {
				if _, err := c.Write(make([]byte, Most)); err != nil {
					return err
				}
			}
		}, os.ErrDeadlineExceeded},
		{"read after close", func(c, _, _ net.Conn) error {
			c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}, net.ErrClosed},
		{"close during a read", func(c, _, _ net.Conn) error {
			time.AfterFunc(10*time.Millisecond, func() { c.Close() })
			_, err := c.Read(make([]byte, 1))
			return err
		}, net.ErrClosed},
		{"reset", func(c, _, peer net.Conn) error {
			peer.(*net.TCPConn).SetLinger(0)
			peer.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}, syscall.ECONNRESET},
		{"end", func(c, _, peer net.Conn) error {
			peer.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}, io.EOF},
		{"write after close", func(c, _, _ net.Conn) error {
			c.Close()
			_, err := c.Write([]byte("x"))
			return err
		}, net.ErrClosed},
		{"write to nobody", func(c, _, peer net.Conn) error {
			peer.(*net.TCPConn).SetLinger(0)
			peer.Close()
			c.Read(make([]byte, 1)) // the reset has come
			_, err := c.Write([]byte("x"))
			return err
		}, syscall.EPIPE},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, peer := pair(t, "tcp")
			err := test.fail(c, c.Conn, peer)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			plain, peer := pair(t, "tcp")
			want := test.fail(plain.Conn, plain.Conn, peer)
			if test.want == io.EOF {
				if err != want {
					t.Errorf("got %v, net returns %v", err, want)
				}
				return
			}
			var a, b *net.OpError
			if !errors.As(err, &a) || !errors.As(want, &b) {
				t.Fatalf("got %#v, net returns %#v", err, want)
			}
			if a.Op != b.Op || a.Net != b.Net || a.Err.Error() != b.Err.Error() || a.Timeout() != b.Timeout() {
				t.Errorf("got %v, net returns %v", err, want)
			}
		})
	}
}

// untilSome calls read until its error isn't the one for nothing.
func untilSome(read func() (int, error), nothing error) (n int, err error) {
	for range 2000 {
		if n, err = read(); err != nothing {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return n, err
}

func TestTryRead(t *testing.T) {
	c, peer := pair(t, "tcp")
	p := make([]byte, 8)
	c.SetReadDeadline(time.Unix(1, 0)) // it has passed, and doesn't matter
	if n, err := c.TryRead(p); n != 0 || err != ErrNothing {
		t.Errorf("with nothing to be read: %d, %v", n, err)
	}
	peer.Write([]byte("abc"))
	poll := func() (int, error) {
		return untilSome(func() (int, error) { return c.TryRead(p) }, ErrNothing)
	}
	if n, err := poll(); string(p[:n]) != "abc" || err != nil {
		t.Errorf("got %q, %v", p[:n], err)
	}
	peer.Close()
	if n, err := poll(); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	c.Close()
	if _, err := c.TryRead(p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestReceive(t *testing.T) {
	c, peer := pair(t, "tcp")
	p := make([]byte, 8)
	receive := func() (n int, err syscall.Errno) {
		n, _ = untilSome(func() (n int, _ error) {
			c.in.raw.Control(func(fd uintptr) { n, err = Receive(fd, p) })
			return n, err
		}, syscall.EAGAIN)
		return n, err
	}
	c.in.raw.Control(func(fd uintptr) {
		if n, errno := Receive(fd, p); n != 0 || errno != syscall.EAGAIN {
			t.Errorf("with nothing to be read: %d, %v", n, errno)
		}
	})
	peer.Write([]byte("abc"))
	if n, errno := receive(); string(p[:n]) != "abc" || errno != 0 {
		t.Errorf("got %q, %v", p[:n], errno)
	}
	peer.Close()
	if n, errno := receive(); n != 0 || errno != 0 {
		t.Errorf("at the end: %d, %v", n, errno)
	}
}

func TestNoSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if New(a) != nil {
		t.Error("New returns a Conn for a pipe in memory")
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, raw := range []bool{false, true} {
		name := "net"
		if raw {
			name = "raw"
		}
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			wrap := func(c net.Conn) net.Conn {
				if raw {
					return New(c)
				}
				return c
			}
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c = wrap(c)
				p := make([]byte, 64)
				for {
					n, err := c.Read(p)
					if err != nil {
						return
					}
					c.Write(p[:n])
				}
			}()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			c = wrap(c)
			p := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(p)
				if _, err := io.ReadFull(c, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestPipe(t *testing.T) {
	theirs, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	rd, back, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPipe(rd, wr)
	b := make([]byte, 8)
	if n, err := p.TryRead(b); n != 0 || err != ErrNothing {
		t.Errorf("with nothing to be read: %d, %v", n, err)
	}
	rd.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := p.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("at the deadline: %v", err)
	}
	rd.SetReadDeadline(time.Time{})
	go io.Copy(back, theirs)
	for _, size := range []int{1, 4096, Most, Most + 1, 1 << 20} {
		sent := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		go p.Write(sent)
		got := make([]byte, size)
		if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes didn't come back: %v", size, err)
		}
	}
	wr.Close()
	if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { rd.Close() })
	if _, err := p.Read(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed during a read: %v", err)
	}
	if _, err := NewPipe(rd, wr).Read(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("of a closed file: %v", err)
	}
	theirs.Close()
	back.Close()
}

func TestPipeEnds(t *testing.T) {
	theirs, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	rd, back, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPipe(rd, wr)
	theirs.Close()
	back.Close()
	if _, err := p.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the writer has gone: %v", err)
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the reader has gone: %v", err)
	}
	rd.Close()
	wr.Close()
}
