package megaki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// When its context ends, Shutdown closes the connections whose messages are
// in flight, cancels their contexts, and waits for their handlers.
func TestShutdownThatTakesTooLong(t *testing.T) {
	entered := make(chan bool)
	var returned sync.WaitGroup
	returned.Add(1)
	s := &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		defer returned.Done()
		done := r.Context().Done()
		entered <- true
		<-done
		return nil
	})}
	p := established(t, start(t, s))
	p.send(p.msg("x"))
	<-entered
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	down := make(chan error)
	go func() { down <- s.Shutdown(ctx) }()
	eventually(t, "Shutdown has begun", s.closed.Load)
	cancel(cause)
	if err := <-down; err != cause {
		t.Errorf("Shutdown: %v", err)
	}
	if s.Connections() != 0 {
		t.Errorf("%d connections are left", s.Connections())
	}
	returned.Wait()
	p.refused()
}

// Connections in the middle of a handshake, and those that sent nothing, are
// closed at once.
func TestShutdownClosesHandshakes(t *testing.T) {
	s := &Server{HandshakeTimeout: time.Hour}
	addr := start(t, s)
	nothing, half, noACK := connect(t, addr), connect(t, addr), connect(t, addr)
	syn, _ := newSYN(t, nil)
	half.send(syn[:100])
	noACK.hello()
	eventually(t, "three connections", func() bool { return s.Connections() == 3 })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, p := range []*peer{nothing, half, noACK} {
		p.refused()
	}
}

// A connection that is between two messages when Shutdown comes ends, however
// the two fall together; a response that was begun is whole.
func TestShutdownAmongMessages(t *testing.T) {
	for range 20 {
		s := &Server{Logger: slog.New(slog.DiscardHandler)}
		addr := start(t, s)
		peers := []*peer{established(t, addr)}
		for len(peers) < 4 {
			peers = append(peers, peers[len(peers)-1].resume(addr))
		}
		var wg, started sync.WaitGroup
		var responses atomic.Int64
		for _, p := range peers {
			started.Add(1)
			wg.Go(func() {
				var once sync.Once
				defer once.Do(started.Done)
				for {
					if _, err := p.Write(p.msg("message")); err != nil {
						return
					}
					packet, err := readPacket(p, typeMSG)
					if errors.Is(err, io.ErrUnexpectedEOF) {
						t.Error("half a response")
					}
					if err != nil {
						return
					}
					if !p.box.verify(packet) {
						t.Error("a response with a wrong MAC")
					}
					responses.Add(1)
					once.Do(started.Done)
				}
			})
		}
		started.Wait()
		if n := responses.Load(); n < int64(len(peers)) {
			t.Errorf("%d responses to %d clients", n, len(peers))
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestClose(t *testing.T) {
	s := &Server{Keys: []crypto.Decrypter{testKey()}, Handler: HandlerFunc(echo)}
	for range 3 { // before Serve, and again
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != ErrServerClosed {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}

// A server serves several listeners, and ends them all.
func TestSeveralListeners(t *testing.T) {
	s := &Server{}
	addrs := []string{start(t, s)}
	done := make(chan error, 2)
	for range cap(done) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- s.Serve(l) }()
		addrs = append(addrs, l.Addr().String())
	}
	p := established(t, addrs[0])
	for _, addr := range addrs[1:] { // they share their sessions
		if p = p.resume(addr); p == nil {
			t.Fatal("not resumed")
		}
		p.echoes("x")
	}
	s.Close()
	for range cap(done) {
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	}
	eventually(t, "no listener is left", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.listeners) == 0
	})
}

func TestServerIsChecked(t *testing.T) {
	short, err := rsa.GenerateKey(nil, 1024)
	if err != nil {
		t.Fatal(err)
	}
	keys := []crypto.Decrypter{testKey()}
	for name, s := range map[string]*Server{
		"no key":       {Handler: HandlerFunc(echo)},
		"no handler":   {Keys: keys},
		"a short key":  {Keys: append(keys, short), Handler: HandlerFunc(echo)},
		"MaxMessage":   {Keys: keys, Handler: HandlerFunc(echo), MaxMessage: MaxMessageLimit + 1},
		"a negative":   {Keys: keys, Handler: HandlerFunc(echo), MaxConnections: -1},
		"negative too": {Keys: keys, Handler: HandlerFunc(echo), IdleTimeout: -1},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(l); err == nil || err == ErrServerClosed {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Shutdown(t.Context()); err == nil {
			t.Errorf("%s: Shutdown of a server that can't serve", name)
		}
	}
}

// A handler that panics or fails closes its own connection, without a response,
// and harms nobody.
func TestHandlerThatFails(t *testing.T) {
	var log lockedBuffer
	s := &Server{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
			switch string(r.Body) {
			case "panic":
				w.Write(make([]byte, 100_000))
				panic("a fault of the handler")
			case "exit":
				runtime.Goexit()
			case "error":
				w.WriteString("half a response")
				return errors.New("a reason")
			case "end":
				return fmt.Errorf("of an upstream: %w", io.EOF)
			case "reset":
				w.WriteString("wrong")
				w.Reset()
				_, err := w.WriteString("right")
				return err
			}
			return echo(w, r)
		}),
	}
	addr := start(t, s)
	witness := established(t, addr)
	for _, body := range []string{"panic", "exit", "error", "end"} {
		p := established(t, addr)
		p.echoes("x")
		p.refusedAfter(p.msg(body))
		witness.echoes("after " + body)
		q := p.resume(addr)
		if q == nil {
			t.Fatalf("%s: the session can't be resumed", body)
		}
		q.echoes("x")
		q.Close()
	}
	witness.send(witness.msg("reset"))
	if got, _ := witness.response(); string(got) != "right" {
		t.Errorf("%q", got)
	}
	eventually(t, "the witness alone is left", func() bool { return s.Connections() == 1 })
	holdsNothing(t, s)
	for _, want := range []string{"a fault of the handler", "a reason", "of an upstream"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log doesn't have %q", want)
		}
	}
}

// TestResetBeforeSYN: the checks of a load balancer, which resets a connection without a
// byte, filled the log. What is cut off within a packet is still logged.
func TestResetBeforeSYN(t *testing.T) {
	for _, c := range []struct{ sent, logged string }{
		{"", `level=DEBUG msg="connection ended"`},
		{"\x4d\x47", `level=INFO msg="connection ended"`},
	} {
		var log lockedBuffer
		memory := NewMemory(DefaultMessageMemory)
		s := &Server{Memory: memory, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		conn, err := net.Dial("tcp", start(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.sent); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the bytes are read", func() bool { return s.Connections() == 1 && (c.sent == "" || memory.InUse() > 0) })
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "connection ended") })
		if !strings.Contains(log.String(), c.logged) {
			t.Errorf("after %q: %s", c.sent, log.String())
		}
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// AllowHandshake decides over handshakes, before any RSA work, and not over
// resumption.
func TestAllowHandshake(t *testing.T) {
	var mu sync.Mutex
	allowed, asked := true, []netip.Addr(nil)
	s := &Server{AllowHandshake: func(a netip.Addr) bool {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, a)
		return allowed
	}}
	addr := start(t, s)
	p := established(t, addr)
	mu.Lock()
	allowed = false
	mu.Unlock()
	syn, _ := newSYN(t, nil)
	connect(t, addr).refusedAfter(syn[:])
	q := p.resume(addr)
	if q == nil {
		t.Fatal("not resumed")
	}
	q.echoes("x")
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 2 || asked[0] != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("asked for %v", asked)
	}
}

// The fields of a request.
func TestRequest(t *testing.T) {
	requests := make(chan Request, 1)
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		if len(r.Body) != cap(r.Body) {
			t.Error("a handler that appends would write over the packet")
		}
		requests <- Request{Session: r.Session, Client: r.Client, Count: r.Count}
		return nil
	})})
	p := established(t, addr)
	for count := 1; count <= 3; count++ {
		p.send(p.msg("x"))
		p.response()
		r := <-requests
		if r.Count != count || r.Session != p.token || r.Client.String() != p.LocalAddr().String() {
			t.Errorf("%+v", r)
		}
	}
}

// Idle sessions hold no buffer and no goroutine, and respond afterwards.
func TestManyIdleSessions(t *testing.T) {
	const n = 1000
	s := &Server{Logger: slog.New(slog.DiscardHandler), rest: soon}
	addr := start(t, s)
	goroutines := runtime.NumGoroutine()
	peers := []*peer{established(t, addr)}
	for len(peers) < n {
		p := peers[len(peers)-1].resume(addr)
		if p == nil {
			t.Fatal("not resumed")
		}
		p.SetDeadline(time.Now().Add(2 * patience))
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.echoes("before")
	}
	holdsNothing(t, s)
	eventually(t, "all rest", func() bool { return s.lot.size() == n })
	eventually(t, "one goroutine watches them all", func() bool { return runtime.NumGoroutine()-goroutines <= 1 })
	if s.Connections() != n {
		t.Errorf("%d connections", s.Connections())
	}
	for _, p := range peers {
		p.echoes("afterwards")
		p.Close()
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+1 })
}

// A small message in the steady state costs the package no allocation.
func TestAllocationsOfAMessage(t *testing.T) {
	const runs = 500
	s := &Server{Logger: slog.New(slog.DiscardHandler)}
	p := established(t, start(t, s))
	response := make([]byte, msgHeaderSize+96)
	packets := make([]msgPacket, 2*runs+1)
	for i := range packets {
		packets[i] = p.packet(typeMSG, make([]byte, 90))
	}
	next := 0
	send := func() {
		p.send(packets[next])
		next++
		if _, err := io.ReadFull(p, response); err != nil {
			t.Fatal(err)
		}
	}
	for range runs {
		send()
	}
	// Under the race detector pools drop a part of what is put into them.
	if got := testing.AllocsPerRun(runs, send); got > 2 {
		t.Errorf("%v allocations for a message", got)
	}
}
