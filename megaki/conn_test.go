package megaki

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func TestContextBoundsARoundTrip(t *testing.T) {
	cause := errors.New("the user went away")
	for _, c := range []struct {
		name string
		ctx  func() (context.Context, func())
		want error
	}{
		{"canceled", func() (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(t.Context())
			return ctx, func() { cancel(cause) }
		}, cause},
		{"deadline", func() (context.Context, func()) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			t.Cleanup(cancel)
			return ctx, func() {}
		}, context.DeadlineExceeded},
	} {
		arrived := make(chan bool)
		addr := scripted(t, func(s *script) {
			s.handshake()
			s.message()
			close(arrived)
			s.end()
		})
		conn := dial(t, addr, clientConfig())
		ctx, cancel := c.ctx()
		go func() {
			<-arrived
			cancel()
		}()
		if _, err := conn.RoundTrip(ctx, []byte("x")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err := conn.RoundTrip(t.Context(), []byte("x"))
		checkError(t, err, "the connection failed before")
		conn.Close()
	}
}

// A context that ends while the response arrives must not meet the next message.
func TestContextThatEndsLate(t *testing.T) {
	cancels := make(chan func(), 1)
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		select {
		case cancel := <-cancels:
			go cancel()
		default:
		}
		return echo(w, r)
	})})
	c := dial(t, addr, clientConfig())
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		cancels <- cancel
		if _, err := c.RoundTrip(ctx, []byte("x")); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			c = dial(t, addr, clientConfig())
		}
		checkEcho(t, c, 10)
	}
}

func TestErrorsBeforeAnythingIsSent(t *testing.T) {
	addr := start(t, &Server{})
	mem := NewMemory(8 << 10)
	cfg := clientConfig()
	cfg.MaxMessagesPerKey, cfg.Memory = 3, mem
	c := dial(t, addr, cfg)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	refused := func(message []byte, ctx context.Context, check func(err error) bool) {
		t.Helper()
		dst, err := c.AppendRoundTrip(ctx, []byte("kept"), message)
		if string(dst) != "kept" || !check(err) {
			t.Errorf("%q, %v", dst, err)
		}
	}
	for range 3 {
		refused(nil, t.Context(), func(err error) bool { return strings.Contains(err.Error(), "at least one byte") })
		refused(make([]byte, DefaultMaxMessage+1), t.Context(), func(err error) bool {
			var long *TooLongError
			return errors.As(err, &long) && long.Length == DefaultMaxMessage+1 && long.Limit == DefaultMaxMessage
		})
		refused(make([]byte, 10<<10), t.Context(), func(err error) bool { return errors.Is(err, ErrMemory) })
		refused([]byte("x"), ended, func(err error) bool { return errors.Is(err, context.Canceled) })
		checkEcho(t, c, 1000)
		if n := mem.InUse(); n != 0 {
			t.Errorf("an idle connection holds %d bytes", n)
		}
	}
	for range 3 {
		refused([]byte("x"), t.Context(), func(err error) bool { return errors.Is(err, ErrKeyUsed) })
	}
	s := c.Session()
	cfg.Session = &s
	if next := dial(t, addr, cfg); !next.Resumed() {
		t.Error("not resumed")
	} else {
		checkEcho(t, next, 100)
	}
}

func TestResponsesThatAreWrong(t *testing.T) {
	for _, c := range []struct {
		says string
		do   func(s *script, request msgPacket, first msgPacket)
	}{
		{"closed the connection without a whole response", func(s *script, request, first msgPacket) {}},
		{"closed the connection without a whole response", func(s *script, request, first msgPacket) {
			s.write(s.response("a whole response")[:80])
		}},
		{"closed the connection without a whole response", func(s *script, request, first msgPacket) {
			s.write(s.response("a whole response")[:3])
		}},
		{"opening the response: the packet is not genuine: it was sent before", func(s *script, request, first msgPacket) { s.write(first) }},
		{"opening the response: the packet is not genuine: it was sent before", func(s *script, request, first msgPacket) { s.write(request) }},
		{"opening the response: the packet is not genuine: wrong MAC", func(s *script, request, first msgPacket) {
			p := s.response("x")
			p.ciphertext()[0] ^= 1
			s.write(p)
		}},
		{"opening the response: the packet is not genuine: wrong MAC", func(s *script, request, first msgPacket) {
			s.write(sealed(newBox(new([symmetricKey]byte)), typeMSG, s.token[:], []byte("x")))
		}},
		{"out of turn", func(s *script, request, first msgPacket) {
			s.write(append(s.response("x"), s.response("y")...))
		}},
		{"type 07, while waiting for MSG", func(s *script, request, first msgPacket) {
			s.write([]byte{'M', 'G', 'K', 0xAA, 0xCA, typeREQREHS})
		}},
		{"type 06, while waiting for MSG", func(s *script, request, first msgPacket) {
			s.write(sealed(s.box, typeRSTORACK, s.token[:], make([]byte, symmetricKey)))
		}},
		{"no magic", func(s *script, request, first msgPacket) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }},
		{"message of 1001 bytes is over the limit of 1000", func(s *script, request, first msgPacket) {
			s.write(s.response(strings.Repeat("x", 1001)))
		}},
		{"message of 4294967295 bytes is over", func(s *script, request, first msgPacket) {
			s.write(edited(s.response("x"), 6, 0xFF, 0xFF, 0xFF, 0xFF))
		}},
	} {
		addr := scripted(t, func(s *script) {
			s.handshake()
			s.message()
			first := s.response("first")
			s.write(first)
			head := s.read(msgHeaderSize)
			request := append(head, s.read(padded(msgPacket(head).length()))...)
			c.do(s, request, first)
			s.Conn.(*net.TCPConn).CloseWrite()
			s.end()
		})
		mem := NewMemory(1 << 20)
		cfg := clientConfig()
		cfg.MaxMessage, cfg.Memory = 1000, mem
		conn := dial(t, addr, cfg)
		if response, err := conn.RoundTrip(t.Context(), []byte("1")); err != nil || string(response) != "first" {
			t.Fatalf("%q, %v", response, err)
		}
		_, err := conn.RoundTrip(t.Context(), []byte("2"))
		checkError(t, err, c.says)
		_, err = conn.RoundTrip(t.Context(), []byte("3"))
		checkError(t, err, "the connection failed before")
		if n := mem.InUse(); n != 0 {
			t.Errorf("%s: %d bytes are held", c.says, n)
		}
		conn.Close()
	}
}

// What came before the message isn't its response.
func TestResponseBeforeTheMessage(t *testing.T) {
	addr := scripted(t, func(s *script) {
		s.handshake()
		s.message()
		s.write(s.response("first"))
		s.write(s.response("of no message"))
		s.end()
	})
	c := dial(t, addr, clientConfig())
	if _, err := c.RoundTrip(t.Context(), []byte("1")); err != nil {
		if !strings.Contains(err.Error(), "out of turn") { // both came at once
			t.Error(err)
		}
	} else {
		waitStale(c)
		_, err := c.RoundTrip(t.Context(), []byte("2"))
		checkError(t, err, "out of turn; nothing was sent")
		if !errors.Is(err, ErrStale) {
			t.Errorf("%v isn't ErrStale", err)
		}
	}
	c.Close()
}

func TestEmptyResponse(t *testing.T) {
	addr := start(t, &Server{Handler: HandlerFunc(func(*ResponseWriter, *Request) error { return nil })})
	c := dial(t, addr, clientConfig())
	for range 3 {
		if response, err := c.RoundTrip(t.Context(), []byte("x")); err != nil || len(response) != 0 {
			t.Errorf("%q, %v", response, err)
		}
	}
}

// Close ends a round trip in flight, from another goroutine.
func TestCloseEndsARoundTrip(t *testing.T) {
	arrived := make(chan bool)
	addr := scripted(t, func(s *script) {
		s.handshake()
		s.message()
		close(arrived)
		s.end()
	})
	c := dial(t, addr, clientConfig())
	go func() {
		<-arrived
		c.Close()
	}()
	if _, err := c.RoundTrip(t.Context(), []byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestSessionBinary(t *testing.T) {
	s := Session{Token: Token{1, 2}, Key: [symmetricKey]byte{3, 4}}
	p, err := s.MarshalBinary()
	if err != nil || len(p) != SessionSize {
		t.Fatalf("%x, %v", p, err)
	}
	var back Session
	if err := back.UnmarshalBinary(p); err != nil || back != s {
		t.Errorf("%v, %v", back, err)
	}
	if err := back.UnmarshalBinary(p[:47]); err == nil || back != s {
		t.Errorf("47 bytes: %v, %v", back, err)
	}
}
