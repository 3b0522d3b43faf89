package megaki

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeListener is a listener in memory, for tests in whose bubble time is fake.
// It accepts what is sent to it: connections, and errors.
type fakeListener struct {
	accepted chan any // net.Conn or error
	closed   chan struct{}
	once     sync.Once
}

func newFakeListener() *fakeListener {
	return &fakeListener{accepted: make(chan any), closed: make(chan struct{})}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case v := <-l.accepted:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *fakeListener) Addr() net.Addr { return nil }

// dial returns the client's end of a new connection.
func (l *fakeListener) dial(t testing.TB) *peer {
	client, server := net.Pipe()
	l.accepted <- server
	p := newPeer(t, client)
	p.SetDeadline(time.Time{})
	return p
}

// servePipes runs a test in a bubble, against a server that serves in memory.
func servePipes(t *testing.T, s *Server, run func(t *testing.T, l *fakeListener)) {
	t.Helper()
	testKey() // made outside of the bubble
	testClientKey()
	synctest.Test(t, func(t *testing.T) {
		s.Keys = []crypto.Decrypter{testKey()}
		if s.Handler == nil {
			s.Handler = HandlerFunc(echo)
		}
		s.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		l := newFakeListener()
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		run(t, l)
		s.Close()
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
		if n := s.memory.InUse(); n != 0 {
			t.Errorf("%d bytes of message memory are in use after the end", n)
		}
		time.Sleep(time.Minute) // until whoever writes has seen the end
	})
}

// closedAfter checks that the server closes the connection after d, to the
// nanosecond, without a byte.
func (p *peer) closedAfter(begin time.Time, d time.Duration) {
	p.t.Helper()
	p.refused()
	if got := time.Since(begin); got != d {
		p.t.Errorf("closed after %v, want %v", got, d)
	}
}

// trickle writes a byte a second until the other end closes.
func trickle(w io.Writer, packet []byte) {
	for i := range packet {
		if _, err := w.Write(packet[i : i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// The deadline of a handshake is absolute: bytes that trickle in don't move it.
func TestHandshakeTimeout(t *testing.T) {
	s := &Server{HandshakeTimeout: 10 * time.Second}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		syn, _ := newSYN(t, nil)
		for name, run := range map[string]func(p *peer){
			"nothing":      func(p *peer) {},
			"SYN trickles": func(p *peer) { go trickle(p, syn[:]) },
			"no ACK":       func(p *peer) { time.Sleep(9 * time.Second); p.hello() },
			"ACK trickles": func(p *peer) { time.Sleep(3 * time.Second); go trickle(p, p.hello()[:]) },
			"RSTORs refused": func(p *peer) {
				for range 2 {
					p.box = newBox(new([symmetricKey]byte))
					rstor, _ := p.rstor()
					p.send(rstor)
					p.read(typeREQREHS)
					time.Sleep(3 * time.Second)
				}
			},
		} {
			begin := time.Now()
			p := l.dial(t)
			run(p)
			p.refused()
			if got := time.Since(begin); got != 10*time.Second {
				t.Errorf("%s: closed after %v", name, got)
			}
		}
		// A client that doesn't read its SYN-ACK.
		begin := time.Now()
		p := l.dial(t)
		p.send(syn[:])
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		if s.Connections() != 1 {
			t.Errorf("closed before %v", time.Since(begin))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s.Connections() != 0 {
			t.Error("a client that doesn't read is waited for")
		}
		p.Close()
	})
}

// A handshake that waits for its turn of RSA work waits no longer than that.
func TestHandshakeTimeoutInTheQueue(t *testing.T) {
	s := &Server{HandshakeTimeout: 10 * time.Second}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		synctest.Wait()
		s.slots.free = 0
		begin := time.Now()
		p := l.dial(t)
		syn, _ := newSYN(t, nil)
		p.send(syn[:])
		p.closedAfter(begin, 10*time.Second)

		// Nor does Close wait for it.
		p = l.dial(t)
		p.send(syn[:])
		synctest.Wait()
		begin = time.Now()
		s.Close()
		if got := time.Since(begin); got != 0 {
			t.Errorf("Close took %v", got)
		}
		p.refused()
	})
}

func TestMessageTimeout(t *testing.T) {
	s := &Server{MessageTimeout: 5 * time.Second}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		p := l.dial(t)
		p.handshake()
		time.Sleep(time.Minute) // idle is another matter
		p.echoes("x")
		begin := time.Now()
		go trickle(p, p.msg("a message that trickles in"))
		p.closedAfter(begin, 5*time.Second)
	})
}

func TestIdleTimeout(t *testing.T) {
	s := &Server{IdleTimeout: time.Minute, HandshakeTimeout: 10 * time.Second}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		p := l.dial(t)
		p.handshake()
		for range 3 {
			time.Sleep(time.Minute - time.Nanosecond)
			p.echoes("just in time")
		}
		begin := time.Now()
		p.closedAfter(begin, time.Minute)
	})
}

// A handler may take longer than any of the timeouts.
func TestSlowHandler(t *testing.T) {
	s := &Server{
		HandshakeTimeout: time.Second, MessageTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second,
		Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
			time.Sleep(time.Hour)
			return echo(w, r)
		}),
	}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		p := l.dial(t)
		p.handshake()
		p.echoes("x")
		p.echoes("y")
	})
}

// A client that doesn't read its response is waited for no longer than that and an eighth.
func TestWriteTimeout(t *testing.T) {
	s := &Server{WriteTimeout: 5 * time.Second}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		p := l.dial(t)
		p.handshake()
		p.send(p.msg("a message"))
		time.Sleep(5*time.Second*9/8 - time.Nanosecond)
		synctest.Wait()
		if s.Connections() != 1 || s.memory.InUse() != int64(classSize(0)) {
			t.Errorf("%d connections, %d bytes in use", s.Connections(), s.memory.InUse())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s.Connections() != 0 || s.memory.InUse() != 0 {
			t.Errorf("%d connections, %d bytes in use", s.Connections(), s.memory.InUse())
		}
		// One that reads slowly, too.
		p = l.dial(t)
		p.handshake()
		p.send(p.msg("a message"))
		begin := time.Now()
		n := 0
		for ; ; n++ {
			if _, err := p.Read(make([]byte, 1)); err != nil {
				break
			}
			time.Sleep(700 * time.Millisecond)
		}
		if n != 9 { // the last at 5.6 s
			t.Errorf("closed after %v and %d bytes", time.Since(begin), n)
		}
	})
}

// acceptError is an error of Accept.
type acceptError struct{ temporary bool }

func (e *acceptError) Error() string   { return "accepting failed" }
func (e *acceptError) Temporary() bool { return e.temporary }

// Errors that pass are waited out, each time longer, and reported by no one's
// connection.
func TestAcceptErrors(t *testing.T) {
	delays := func(t *testing.T, l *fakeListener, n int) (all []time.Duration) {
		begin := time.Now()
		l.accepted <- &acceptError{temporary: true}
		for range n {
			all = append(all, time.Since(begin))
			begin = time.Now()
			l.accepted <- fmt.Errorf("wrapped: %w", &acceptError{temporary: true})
		}
		return all
	}
	servePipes(t, &Server{}, func(t *testing.T, l *fakeListener) {
		got := delays(t, l, 10)
		want := []time.Duration{0, 5, 10, 20, 40, 80, 160, 320, 640, 1000}
		for i := range want {
			if got[i] != want[i]*time.Millisecond {
				t.Errorf("delays %v", got)
				break
			}
		}
		p := l.dial(t)
		p.handshake()
		p.echoes("x")
		if got := delays(t, l, 2); got[1] != 5*time.Millisecond {
			t.Errorf("after one that was accepted: %v", got)
		}
	})
	// An error that stays ends Serve.
	l := newFakeListener()
	s := &Server{Keys: []crypto.Decrypter{testKey()}, Handler: HandlerFunc(echo)}
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	failure := &acceptError{}
	l.accepted <- failure
	if err := <-done; !errors.Is(err, failure) {
		t.Errorf("Serve: %v", err)
	}
	if len(s.listeners) != 0 || len(s.connSlots) != 0 {
		t.Errorf("left behind: %d listeners, %d slots", len(s.listeners), len(s.connSlots))
	}
	s.Close()
}

// More connections than there may be wait to be accepted.
func TestMaxConnections(t *testing.T) {
	servePipes(t, &Server{MaxConnections: 2}, func(t *testing.T, l *fakeListener) {
		a, b := l.dial(t), l.dial(t)
		a.handshake()
		b.handshake()
		c, server := net.Pipe()
		accepted := make(chan bool, 1)
		go func() {
			l.accepted <- server
			accepted <- true
		}()
		synctest.Wait()
		if len(accepted) != 0 {
			t.Error("a third connection is accepted")
		}
		a.echoes("x")
		a.Close()
		<-accepted
		p := newPeer(t, c)
		p.handshake()
		p.echoes("y")
	})
}

// slowAddrConn is a connection whose address comes from its first bytes, as
// behind a proxy.
type slowAddrConn struct{ net.Conn }

func (c slowAddrConn) RemoteAddr() net.Addr {
	var p [1]byte
	c.Read(p[:])
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, p[0]), Port: 7}
}

// One whose address doesn't come holds up nobody, and has the deadline of a
// handshake.
func TestAddressThatComesLate(t *testing.T) {
	s := &Server{HandshakeTimeout: 10 * time.Second, Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		_, err := w.WriteString(r.Client.String())
		return err
	})}
	servePipes(t, s, func(t *testing.T, l *fakeListener) {
		begin := time.Now()
		client, server := net.Pipe()
		l.accepted <- slowAddrConn{server}
		slow := newPeer(t, client)
		slow.SetDeadline(time.Time{})

		client, server = net.Pipe()
		l.accepted <- slowAddrConn{server}
		p := newPeer(t, client)
		p.send([]byte{99})
		p.handshake()
		p.send(p.msg("who am I?"))
		if got, _ := p.response(); string(got) != "192.0.2.99:7" {
			t.Errorf("%q", got)
		}
		slow.closedAfter(begin, 10*time.Second)
	})
}
