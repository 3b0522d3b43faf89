package megaki

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestClientIsSafeForConcurrentUse(t *testing.T) {
	addr := start(t, &Server{MaxMessagesPerKey: 7})
	c := &Client{Address: addr, Config: *clientConfig()}
	c.Config.MaxMessagesPerKey = 7
	defer c.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				message := bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*100)
				response, err := c.Send(t.Context(), message)
				if err != nil || !bytes.Equal(response, message) {
					t.Errorf("message %d of %d: %d bytes, %v", j, i, len(response), err)
				}
				if c.Session() == nil {
					t.Error("no session")
				}
			}
		})
	}
	wg.Wait()
}

func TestClientSendsOnce(t *testing.T) {
	addr := scripted(t,
		func(s *script) {
			s.handshake()
			s.message() // and no response
		},
		func(s *script) {
			s.refuseResume()
			s.handshake()
			if p := s.message(); string(p[msgHeaderSize:][:p.length()]) != "second" {
				s.t.Error("the first message was sent again")
			}
			s.write(s.response("response"))
			s.end()
		})
	c := &Client{Address: addr, Config: *clientConfig()}
	defer c.Close()
	_, err := c.Send(t.Context(), []byte("first"))
	checkError(t, err, "closed the connection without a whole response")
	if response, err := c.Send(t.Context(), []byte("second")); err != nil || string(response) != "response" {
		t.Errorf("%q, %v", response, err)
	}
}

// A connection that the server has closed meanwhile costs no message.
func TestClientReconnectsWhenIdle(t *testing.T) {
	one := func(s *script) {
		s.message()
		s.write(s.response("response"))
	}
	addr := scripted(t,
		func(s *script) { s.handshake(); one(s) },
		func(s *script) { s.refuseResume(); s.handshake(); one(s) })
	c := &Client{Address: addr, Config: *clientConfig()}
	defer c.Close()
	for range 2 {
		if _, err := c.Send(t.Context(), []byte("x")); err != nil {
			t.Error(err)
		}
		waitStale(c.conn)
	}
}

// A context's deadline that has passed since must not make the connection look
// dead.
func TestClientKeepsItsConnection(t *testing.T) {
	c := &Client{Address: start(t, &Server{}), Config: *clientConfig()}
	c.Config.HandshakeTimeout = 5 * time.Second
	defer c.Close()
	var first *Conn
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if c.conn == nil {
			ctx = t.Context()
		}
		if _, err := c.Send(ctx, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = c.conn
		} else {
			<-ctx.Done()
		}
		cancel()
		if stale(c.conn) || c.conn != first {
			t.Fatal("another connection")
		}
	}
}

func TestClientMakesOneKey(t *testing.T) {
	var keys []*rsa.PublicKey
	one := func(s *script) {
		s.handshake()
		keys = append(keys, s.clientKey)
		s.message()
		s.write(s.response("response"))
	}
	refused := func(s *script) { s.readSYN(); keys = append(keys, s.clientKey) }
	addr := scripted(t, refused, one, func(s *script) { s.refuseResume(); one(s) })
	c := &Client{Address: addr, Config: Config{ServerKey: &testKey().PublicKey}}
	defer c.Close()
	if _, err := c.Send(t.Context(), []byte("x")); err == nil {
		t.Error("no error")
	}
	for range 2 {
		if _, err := c.Send(t.Context(), []byte("x")); err != nil {
			t.Error(err)
		}
		waitStale(c.conn)
	}
	if len(keys) != 3 || !keys[0].Equal(keys[1]) || !keys[0].Equal(keys[2]) {
		t.Errorf("%d handshakes, keys %v", len(keys), keys)
	}
}

// Another process can resume a session, and needs no key of its own for that.
func TestClientResumesWithoutAKey(t *testing.T) {
	addr := start(t, &Server{})
	c := &Client{Address: addr, Config: *clientConfig()}
	if c.Session() != nil {
		t.Error("a session before the first message")
	}
	if _, err := c.Send(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	next := &Client{Address: addr, Config: Config{ServerKey: &testKey().PublicKey, Session: c.Session()}}
	defer next.Close()
	for range 3 {
		if _, err := next.Send(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if !next.conn.Resumed() || next.key != nil {
			t.Error("not resumed, or a key was made")
		}
		next.Close()
	}
	if next.Session().Token != c.Session().Token {
		t.Error("another token")
	}
}

// A server that can't resume a session, and doesn't say so, isn't asked for
// ever.
func TestClientGivesResumingUp(t *testing.T) {
	closing := func(s *script) { s.read(len(rstorPacket{})) }
	addr := scripted(t, closing, closing, closing, func(s *script) {
		s.handshake()
		s.message()
		s.write(s.response("response"))
		s.end()
	})
	c := &Client{Address: addr, Config: *clientConfig()}
	c.Config.Session = &Session{}
	defer c.Close()
	for range maxFailedResumes {
		_, err := c.Send(t.Context(), []byte("x"))
		checkError(t, err, "waiting for MSG-RSTOR-ACK")
		if *c.Session() != (Session{}) {
			t.Error("the session is lost")
		}
	}
	if _, err := c.Send(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestClientWaitsForItsTurnWithinTheContext(t *testing.T) {
	entered, finish := make(chan bool), make(chan bool)
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		entered <- true
		<-finish
		return echo(w, r)
	})})
	c := &Client{Address: addr, Config: *clientConfig()}
	defer c.Close()
	done := make(chan error)
	go func() {
		_, err := c.Send(t.Context(), []byte("slow"))
		done <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Send(ctx, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("the message under way: %v", err)
	}
}
