package megaki

import (
	"crypto"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mkd/rawio"
)

// sockets returns how many descriptors of sockets this process has.
func sockets(t testing.TB) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && len(to) > 7 && to[:7] == "socket:" {
			n++
		}
	}
	return n
}

// bare returns how many connections have no socket of Go.
func (s *Server) bare() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.socket.mu.Lock()
		if c.conn == nil {
			n++
		}
		c.socket.mu.Unlock()
	}
	return n
}

// startOn serves the connections of l, each changed by wrap.
func startOn(t *testing.T, s *Server, l net.Listener, wrap func(net.Conn) net.Conn) {
	s.Keys = []crypto.Decrypter{testKey()}
	s.Handler = HandlerFunc(echo)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(wrap(conn), func() {})
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
		s.Close()
	})
}

// TestRestIsBare: a connection that rests has a descriptor, and nothing of package net;
// none is left over when it has rested many times, and ended.
func TestRestIsBare(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{rest: 5 * time.Millisecond}
		startOn(t, s, l, func(c net.Conn) net.Conn { return c })
		before := sockets(t)
		conn, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, conn)
		p.handshake()
		for range 20 {
			eventually(t, "it rests", func() bool { return s.lot.size() == 1 && s.bare() == 1 })
			if n := sockets(t); n != before+2 {
				t.Fatalf("%s: %d sockets, want those of both sides", network, n-before)
			}
			p.echoes("hello")
		}
		p.Close()
		eventually(t, "it has ended", func() bool { return s.Connections() == 0 })
		if n := sockets(t); n != before {
			t.Errorf("%s: %d sockets are left", network, n-before)
		}
	}
}

// leased is a connection that counts what is called when it ends, and that can have no
// further descriptor.
type leased struct {
	*net.TCPConn
	full   *atomic.Bool
	closed *atomic.Int32
}

func (l leased) Detach() (fd int, closed func(), err error) {
	if l.full.Load() {
		return -1, nil, syscall.EMFILE
	}
	fd, err = rawio.Detach(l.TCPConn)
	return fd, func() { l.closed.Add(1) }, err
}

// TestRestWithoutDescriptors: a connection that can't rest since the process has no
// descriptor left keeps its goroutine, and rests after its next message if it can then.
// However it ends, its owner is called once.
func TestRestWithoutDescriptors(t *testing.T) {
	for name, end := range map[string]func(s *Server, p *peer){
		"client": func(_ *Server, p *peer) { p.Close() },
		"idle":   func(*Server, *peer) {},
		"close":  func(s *Server, _ *peer) { s.Close() },
		"awake":  func(s *Server, p *peer) { p.echoes("x"); s.Close() },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var full atomic.Bool
		var closed atomic.Int32
		full.Store(true)
		s := &Server{rest: 5 * time.Millisecond}
		if name == "idle" {
			s.IdleTimeout = time.Second
		}
		startOn(t, s, l, func(c net.Conn) net.Conn { return leased{c.(*net.TCPConn), &full, &closed} })
		p := established(t, l.Addr().String())
		p.echoes("x")
		time.Sleep(50 * time.Millisecond) // longer than it would take to rest
		if s.lot.size() != 0 || s.bare() != 0 {
			t.Errorf("%s: it rests", name)
		}
		full.Store(false)
		p.echoes("y")
		eventually(t, "it rests", func() bool { return s.lot.size() == 1 && s.bare() == 1 })
		if n := closed.Load(); n != 0 {
			t.Errorf("%s: while it rests, its owner heard of its end", name)
		}
		end(s, p)
		eventually(t, "it has ended", func() bool { return s.Connections() == 0 })
		if n := closed.Load(); n != 1 {
			t.Errorf("%s: its owner heard %d times of its end", name, n)
		}
	}
}

// TestRestPipe: a connection without a socket can't rest.
func TestRestPipe(t *testing.T) {
	s := &Server{rest: 5 * time.Millisecond}
	start(t, s)
	client, server := net.Pipe()
	go s.ServeConn(server, func() {})
	p := newPeer(t, client)
	p.handshake()
	for range 3 {
		p.echoes("hello")
		time.Sleep(20 * time.Millisecond) // longer than it would take to rest
	}
	if s.lot.size() != 0 || s.bare() != 0 {
		t.Error("it rests")
	}
}

// TestRestRaces has connections rest, wake up, be idle for too long and be closed by both
// sides at the same time, so that numbers of descriptors are used again all the time. No
// message may get lost or meet another connection.
func TestRestRaces(t *testing.T) {
	before := sockets(t)
	s := &Server{Keys: []crypto.Decrypter{testKey()}, Handler: HandlerFunc(echo), IdleTimeout: time.Second, rest: 2 * time.Millisecond}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 4 {
				p := established(t, l.Addr().String())
				for n := range 15 {
					time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
					p.send(p.packet(typeMSG, []byte{byte(n), 1}))
					if got, _ := p.response(); string(got) != string([]byte{byte(n), 1}) {
						t.Errorf("% x came back", got)
						return
					}
				}
				if rand.IntN(2) == 0 { // the server ends it
					if _, err := io.ReadAll(p.Conn); err != nil {
						t.Errorf("idle for too long: %v", err)
					}
				}
				p.Close()
			}
		})
	}
	wg.Wait()
	for range 50 { // these are about to rest when the server shuts down
		established(t, l.Addr().String())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
	if n := sockets(t); n != before+50 {
		t.Errorf("%d sockets are left, want those of 50 clients", n-before)
	}
}

// TestShutdownMeetsRest shuts a server down at the moment when its connections go to rest.
func TestShutdownMeetsRest(t *testing.T) {
	for i := range 20 {
		s := &Server{IdleTimeout: time.Hour, rest: 3 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
		addr := start(t, s)
		for range 10 {
			established(t, addr)
		}
		time.Sleep(time.Duration(i%7) * time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("a connection rests, and nobody wakes it")
		}
	}
}

// BenchmarkRest is the CPU time of a message, of both sides, if its session rests
// before and after it, and if it doesn't.
func BenchmarkRest(b *testing.B) {
	for name, after := range map[string]time.Duration{"rests": 20 * time.Millisecond, "waits": time.Hour} {
		b.Run(name, func(b *testing.B) {
			s := &Server{Handler: HandlerFunc(echo), IdleTimeout: 3 * time.Hour, Logger: slog.New(slog.DiscardHandler), rest: after}
			addr := start(b, s)
			var peers [200]*peer
			for i := range peers {
				peers[i] = established(b, addr)
			}
			pause := func() {
				if name == "rests" {
					eventually(b, "all rest", func() bool { time.Sleep(5 * time.Millisecond); return s.lot.size() == len(peers) })
				}
			}
			pause()
			var used time.Duration
			for b.Loop() {
				began := cpuTime()
				for _, p := range peers {
					p.SetDeadline(time.Now().Add(patience))
					p.send(p.packet(typeMSG, []byte("hello")))
				}
				for _, p := range peers {
					p.response()
				}
				pause()
				used += cpuTime() - began
			}
			b.ReportMetric(float64(used.Microseconds())/float64(b.N*len(peers)), "cpu-µs/message")
		})
	}
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
