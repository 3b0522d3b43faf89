package megaki

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// soon is when connections of these tests rest.
const soon = 50 * time.Millisecond

// size returns the number of connections that rest.
func (l *lot) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.resting)
}

// TestRest has connections rest, and send messages again, and again.
func TestRest(t *testing.T) {
	s := &Server{Handler: HandlerFunc(echo), rest: soon}
	addr := start(t, s)
	var peers []*peer
	for range 20 {
		peers = append(peers, established(t, addr))
	}
	for round := range 3 {
		eventually(t, "all connections rest", func() bool { return s.lot.size() == len(peers) })
		if s.Connections() != len(peers) || s.memory.InUse() != 0 {
			t.Errorf("%d connections, %d bytes in use", s.Connections(), s.memory.InUse())
		}
		var wg sync.WaitGroup
		for i, p := range peers {
			wg.Go(func() {
				for n := range 3 {
					want := bytes.Repeat([]byte{byte(i), byte(round), byte(n)}, 1000*i+1)
					p.send(p.packet(typeMSG, want))
					if got, _ := p.response(); !bytes.Equal(got, want) {
						t.Errorf("round %d: connection %d: %d bytes, want %d", round, i, len(got), len(want))
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestRestTakesNoGoroutine: neither do connections that never sent a message.
func TestRestTakesNoGoroutine(t *testing.T) {
	s := &Server{Handler: HandlerFunc(echo), rest: soon}
	addr := start(t, s)
	established(t, addr)
	eventually(t, "one rests", func() bool { return s.lot.size() == 1 })
	before := runtime.NumGoroutine()
	for range 30 {
		established(t, addr)
	}
	eventually(t, "all rest", func() bool { return s.lot.size() == 31 })
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// TestRestEnds: a connection that rests ends when its client closes it, when it
// has been idle for too long, and when the server is closed.
func TestRestEnds(t *testing.T) {
	for name, end := range map[string]func(s *Server, p *peer){
		"client":       func(_ *Server, p *peer) { p.Close() },
		"client's end": func(_ *Server, p *peer) { p.Conn.(*net.TCPConn).CloseWrite() },
		"reset": func(_ *Server, p *peer) {
			p.Conn.(*net.TCPConn).SetLinger(0)
			p.Close()
		},
		"idle":     func(*Server, *peer) {},
		"shutdown": func(s *Server, _ *peer) { s.Shutdown(t.Context()) },
		"close":    func(s *Server, _ *peer) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{Handler: HandlerFunc(echo), IdleTimeout: time.Hour, rest: soon}
			if name == "idle" {
				s.IdleTimeout = 5 * soon
			}
			p := established(t, start(t, s))
			eventually(t, "it rests", func() bool { return s.lot.size() == 1 })
			end(s, p)
			eventually(t, "it has ended", func() bool { return s.Connections() == 0 })
			if n := s.lot.size(); n != 0 {
				t.Errorf("%d rest", n)
			}
			if name != "client" && name != "reset" {
				if _, err := io.ReadAll(p.Conn); err != nil {
					t.Errorf("the client sees %v, not the end of the stream", err)
				}
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRestUnwatched: where connections can't rest they keep their goroutines.
func TestRestUnwatched(t *testing.T) {
	s := &Server{Handler: HandlerFunc(echo), rest: soon}
	addr := start(t, s)
	s.lot.close()
	p := established(t, addr)
	time.Sleep(5 * soon) // longer than it would take to rest
	p.send(p.packet(typeMSG, []byte("hello")))
	if got, _ := p.response(); string(got) != "hello" {
		t.Errorf("%q", got)
	}
	if s.lot.size() != 0 {
		t.Error("it rests")
	}
}

// TestRestMessageInPieces wakes a connection with one byte of a message.
func TestRestMessageInPieces(t *testing.T) {
	s := &Server{Handler: HandlerFunc(echo), rest: soon}
	p := established(t, start(t, s))
	for range 2 {
		eventually(t, "it rests", func() bool { return s.lot.size() == 1 })
		m := p.packet(typeMSG, []byte("hello"))
		p.send(m[:1])
		eventually(t, "it has its goroutine", func() bool { return s.lot.size() == 0 })
		p.send(m[1:])
		if got, _ := p.response(); string(got) != "hello" {
			t.Errorf("%q", got)
		}
	}
}
