package megaki

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a connection of a server that does what a test tells it, right or
// wrong.
type script struct {
	t    *testing.T
	conn net.Conn

	plain     *synPlain
	clientKey *rsa.PublicKey
	secret    secretPlain
	box       *box
	token     []byte
}

// scripted serves one connection after the other by the scripts, and returns
// the address. A script's connection is closed at its end.
func scripted(t *testing.T, scripts ...func(s *script)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, f := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer conn.Close()
				f(&script{t: t, conn: conn})
			}()
			<-ended
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// fail ends the script.
func (s *script) fail(err error) {
	s.t.Errorf("script: %v", err)
	runtime.Goexit()
}

func (s *script) read(n int) []byte {
	p := make([]byte, n)
	if _, err := io.ReadFull(s.conn, p); err != nil {
		s.fail(err)
	}
	return p
}

func (s *script) write(p []byte) {
	if _, err := s.conn.Write(p); err != nil {
		s.fail(err)
	}
}

// end waits until the client closes, and checks that it sends nothing before.
func (s *script) end() {
	if n, _ := io.Copy(io.Discard, s.conn); n > 0 {
		s.t.Errorf("the client sent %d bytes more", n)
	}
}

func (s *script) readSYN() {
	var err error
	s.plain, s.clientKey, err = openSYN((*synPacket)(s.read(len(synPacket{}))), []*rsa.PrivateKey{testKey()}, nil)
	if err != nil {
		s.fail(err)
	}
	copy(s.secret[:], bytes.Repeat([]byte("secret"), len(s.secret)/6))
}

// synAck makes a SYN-ACK with the outer token given.
func (s *script) synAck(outer []byte) *synAckPacket {
	p, err := sealSYNACK(outer, &s.secret, s.plain.ephemeral(), s.clientKey)
	if err != nil {
		s.fail(err)
	}
	return p
}

func (s *script) handshake() {
	s.readSYN()
	s.write(s.synAck(s.secret.token())[:])
	half, err := openACK((*ackPacket)(s.read(len(ackPacket{}))), s.plain.ephemeral(), &s.secret)
	if err != nil {
		s.fail(err)
	}
	serverHalf := [symmetricKey]byte(s.secret.symmetric())
	key := derive(&serverHalf, &half)
	s.box, s.token = newBox(&key), s.secret.token()
	s.write([]byte{'M', 'G', 'K', 0xAA, 0xCA, typeACKACK})
}

// message reads a whole MSG, and returns it decrypted.
func (s *script) message() msgPacket {
	head := msgPacket(s.read(msgHeaderSize))
	p := append(head, s.read(padded(head.length()))...)
	if !s.box.verify(p) {
		s.fail(errors.New("message with a wrong MAC"))
	}
	s.box.open(p)
	return p
}

func (s *script) answer(plain string) msgPacket {
	return sealed(s.box, typeMSG, s.token, []byte(plain))
}

// refuseResume answers a MSG-RSTOR by asking for a handshake.
func (s *script) refuseResume() {
	s.read(len(rstorPacket{}))
	s.write([]byte{'M', 'G', 'K', 0xAA, 0xCA, typeREQREHS})
}

func checkError(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got the error %v, want one that says %q", err, says)
	}
}

func TestErrorSYNACK(t *testing.T) {
	mark := bytes.Repeat([]byte{errorMark}, tokenSize)
	for _, code := range []Code{CodeVersion, CodeUnavailable, CodeBlacklisted, 0x1234} {
		full := code.bytes()
		forms := map[string]func(s *script) *synAckPacket{
			"of the reference client": func(s *script) *synAckPacket {
				copy(s.secret.token(), full[:])
				return s.synAck(mark)
			},
			"of the reference server": func(s *script) *synAckPacket {
				copy(s.secret.token(), mark)
				copy(s.secret.symmetric(), full[:])
				return s.synAck([]byte("random of server"))
			},
			"inside and outside": func(s *script) *synAckPacket {
				copy(s.secret.token(), mark)
				copy(s.secret.symmetric(), full[:])
				return s.synAck(mark)
			},
			"of our server": func(s *script) *synAckPacket {
				p, err := sealErrorSYNACK(code, s.plain.ephemeral(), s.clientKey)
				if err != nil {
					s.fail(err)
				}
				return p
			},
		}
		for name, form := range forms {
			for _, forged := range []bool{false, true} {
				addr := scripted(t, func(s *script) {
					s.readSYN()
					p := form(s)
					if forged {
						p.mac()[31] ^= 1
					}
					s.write(p[:])
					s.end()
				})
				_, err := Dial(t.Context(), "tcp", addr, clientConfig())
				var serverErr *ServerError
				switch {
				case forged && errors.As(err, &serverErr), forged && err == nil:
					t.Errorf("form %s was believed before its MAC: %v", name, err)
				case !forged && (!errors.As(err, &serverErr) || serverErr.Code != code):
					t.Errorf("form %s, code %v: %v", name, code, err)
				}
			}
		}
	}
}

func TestSYNACKThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		says string
		do   func(s *script)
	}{
		{"wrong MAC: the server doesn't have the private key of the pinned one (compare the keys)", func(s *script) {
			s.read(len(synPacket{})) // can't be read by this server
			p := new(synAckPacket)
			putHeader(p[:], typeSYNACK)
			s.write(p[:])
		}},
		{"waiting for SYN-ACK: the server closed the connection instead: either it doesn't have the private key", func(s *script) {
			s.read(len(synPacket{}))
		}},
		{"waiting for SYN-ACK: the server closed the connection", func(s *script) {
			s.readSYN()
			s.write(s.synAck(s.secret.token())[:309])
			s.conn.Close()
		}},
		{"two tokens", func(s *script) {
			s.readSYN()
			s.write(s.synAck(make([]byte, tokenSize))[:])
		}},
		{"isn't encrypted to the client's key", func(s *script) {
			s.readSYN()
			s.clientKey = &testKey().PublicKey
			s.write(s.synAck(s.secret.token())[:])
		}},
		{"type 04, while waiting for SYN-ACK", func(s *script) {
			s.readSYN()
			p := s.synAck(s.secret.token())
			p[5] = typeMSG
			s.write(p[:])
		}},
		{"out of turn", func(s *script) {
			s.readSYN()
			s.write(append(s.synAck(s.secret.token())[:], 'M'))
		}},
		{"waiting for ACK-ACK: the server closed the connection", func(s *script) {
			s.readSYN()
			s.write(s.synAck(s.secret.token())[:])
			s.read(len(ackPacket{}))
		}},
	} {
		addr := scripted(t, func(s *script) {
			c.do(s)
			if tcp, ok := s.conn.(*net.TCPConn); ok {
				tcp.CloseWrite()
			}
			s.end()
		})
		_, err := Dial(t.Context(), "tcp", addr, clientConfig())
		checkError(t, err, c.says)
	}

	// The same at a real server.
	addr := start(t, &Server{})
	cfg := clientConfig()
	cfg.ServerKey = &testClientKey().PublicKey
	_, err := Dial(t.Context(), "tcp", addr, cfg)
	checkError(t, err, "it doesn't have the private key of the pinned one (compare the keys)")
}

func TestConfigIsChecked(t *testing.T) {
	key := testKey()
	short, err := rsa.GenerateKey(nil, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(key.N, 2048), E: 3}}
	for _, c := range []struct {
		says string
		cfg  Config
	}{
		{"needs the ServerKey", Config{}},
		{"server key: an RSA key without a modulus", Config{ServerKey: new(rsa.PublicKey)}},
		{"server key: an RSA key of 1024 bits", Config{ServerKey: &short.PublicKey}},
		{"client key: an RSA key of 1024 bits", Config{ServerKey: &key.PublicKey, ClientKey: short}},
		{"client key: an RSA key of 4096 bits", Config{ServerKey: &key.PublicKey, ClientKey: long}},
		{"a MaxMessage of 67108865", Config{ServerKey: &key.PublicKey, MaxMessage: MaxMessageLimit + 1}},
		{"a MaxMessage of -1", Config{ServerKey: &key.PublicKey, MaxMessage: -1}},
	} {
		_, err := Dial(t.Context(), "tcp", "127.0.0.1:1", &c.cfg)
		checkError(t, err, c.says)
	}
}

func TestContextBoundsTheHandshake(t *testing.T) {
	for name, silent := range map[string]func(s *script){
		"SYN":  func(s *script) { s.read(len(synPacket{})) },
		"half": func(s *script) { s.readSYN(); s.write(s.synAck(s.secret.token())[:100]) },
		"ACK": func(s *script) {
			s.readSYN()
			s.write(s.synAck(s.secret.token())[:])
			s.read(len(ackPacket{}))
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		addr := scripted(t, func(s *script) {
			silent(s)
			cancel()
			s.end()
		})
		if _, err := Dial(ctx, "tcp", addr, clientConfig()); !errors.Is(err, context.Canceled) {
			t.Errorf("silent after %s, canceled: %v", name, err)
		}
		addr = scripted(t, func(s *script) {
			silent(s)
			s.end()
		})
		cfg := clientConfig()
		cfg.HandshakeTimeout = 500 * time.Millisecond
		if _, err := Dial(t.Context(), "tcp", addr, cfg); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("silent after %s, timeout: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "tcp", "127.0.0.1:1", clientConfig()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
	client, server := net.Pipe() // a write to it would block
	defer client.Close()
	defer server.Close()
	if _, err := NewConn(ctx, client, clientConfig()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before, NewConn: %v", err)
	}
}

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

// A context that ends while the answer arrives must not meet the next message.
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

func TestAnswersThatAreWrong(t *testing.T) {
	for _, c := range []struct {
		says string
		do   func(s *script, request msgPacket, first msgPacket)
	}{
		{"closed the connection without a whole answer", func(s *script, request, first msgPacket) {}},
		{"closed the connection without a whole answer", func(s *script, request, first msgPacket) {
			s.write(s.answer("a whole answer")[:80])
		}},
		{"closed the connection without a whole answer", func(s *script, request, first msgPacket) {
			s.write(s.answer("a whole answer")[:3])
		}},
		{"answer that was sent before", func(s *script, request, first msgPacket) { s.write(first) }},
		{"answer that was sent before", func(s *script, request, first msgPacket) { s.write(request) }},
		{"answer with a wrong MAC", func(s *script, request, first msgPacket) {
			p := s.answer("x")
			p.ciphertext()[0] ^= 1
			s.write(p)
		}},
		{"answer with a wrong MAC", func(s *script, request, first msgPacket) {
			s.write(sealed(newBox(new([symmetricKey]byte)), typeMSG, s.token, []byte("x")))
		}},
		{"out of turn", func(s *script, request, first msgPacket) {
			s.write(append(s.answer("x"), s.answer("y")...))
		}},
		{"type 07, while waiting for MSG", func(s *script, request, first msgPacket) {
			s.write([]byte{'M', 'G', 'K', 0xAA, 0xCA, typeREQREHS})
		}},
		{"type 06, while waiting for MSG", func(s *script, request, first msgPacket) {
			s.write(sealed(s.box, typeRSTORACK, s.token, make([]byte, symmetricKey)))
		}},
		{"no magic", func(s *script, request, first msgPacket) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }},
		{"message of 1001 bytes is over the limit of 1000", func(s *script, request, first msgPacket) {
			s.write(s.answer(strings.Repeat("x", 1001)))
		}},
		{"message of 4294967295 bytes is over", func(s *script, request, first msgPacket) {
			s.write(edited(s.answer("x"), 6, 0xFF, 0xFF, 0xFF, 0xFF))
		}},
	} {
		addr := scripted(t, func(s *script) {
			s.handshake()
			s.message()
			first := s.answer("first")
			s.write(first)
			head := s.read(msgHeaderSize)
			request := append(head, s.read(padded(msgPacket(head).length()))...)
			c.do(s, request, first)
			s.conn.(*net.TCPConn).CloseWrite()
			s.end()
		})
		mem := NewMemory(1 << 20)
		cfg := clientConfig()
		cfg.MaxMessage, cfg.Memory = 1000, mem
		conn := dial(t, addr, cfg)
		if answer, err := conn.RoundTrip(t.Context(), []byte("1")); err != nil || string(answer) != "first" {
			t.Fatalf("%q, %v", answer, err)
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

// What came before the message isn't its answer.
func TestAnswerBeforeTheMessage(t *testing.T) {
	addr := scripted(t, func(s *script) {
		s.handshake()
		s.message()
		s.write(s.answer("first"))
		s.write(s.answer("of no message"))
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
	}
	c.Close()
}

// waitStale waits until something of the server has arrived.
func waitStale(c *Conn) {
	for !c.stale() {
		runtime.Gosched()
	}
}

func TestEmptyAnswer(t *testing.T) {
	addr := start(t, &Server{Handler: HandlerFunc(func(*ResponseWriter, *Request) error { return nil })})
	c := dial(t, addr, clientConfig())
	for range 3 {
		if answer, err := c.RoundTrip(t.Context(), []byte("x")); err != nil || len(answer) != 0 {
			t.Errorf("%q, %v", answer, err)
		}
	}
}

// Close ends what is under way, from another goroutine.
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

func TestWrongResumption(t *testing.T) {
	session := &Session{Token: Token{1}, Key: [symmetricKey]byte{2}}
	for _, c := range []struct {
		says string
		do   func(s *script, rstor msgPacket)
	}{
		{"waiting for MSG-RSTOR-ACK: the server closed the connection", func(*script, msgPacket) {}},
		{"type 05, while waiting for MSG-RSTOR-ACK", func(s *script, rstor msgPacket) { s.write(rstor) }},
		{"MSG-RSTOR-ACK with a wrong MAC", func(s *script, rstor msgPacket) {
			rstor[5] = typeRSTORACK // sent back to its sender
			s.write(rstor)
		}},
		{"MSG-RSTOR-ACK of 31 bytes", func(s *script, rstor msgPacket) {
			putHeader(rstor, typeRSTORACK)
			s.write(edited(rstor, 9, 31))
		}},
	} {
		addr := scripted(t, func(s *script) {
			c.do(s, s.read(len(rstorPacket{})))
			s.conn.(*net.TCPConn).CloseWrite()
			s.end()
		})
		cfg := clientConfig()
		cfg.Session = session
		_, err := Dial(t.Context(), "tcp", addr, cfg)
		checkError(t, err, c.says)
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
				answer, err := c.Send(t.Context(), message)
				if err != nil || !bytes.Equal(answer, message) {
					t.Errorf("message %d of %d: %d bytes, %v", j, i, len(answer), err)
				}
				if c.Session() == nil {
					t.Error("no session")
				}
			}
		})
	}
	wg.Wait()
}

func TestClientSendsOnlyOnce(t *testing.T) {
	addr := scripted(t,
		func(s *script) {
			s.handshake()
			s.message() // and no answer
		},
		func(s *script) {
			s.refuseResume()
			s.handshake()
			if p := s.message(); string(p[msgHeaderSize:][:p.length()]) != "second" {
				s.t.Error("the first message was sent again")
			}
			s.write(s.answer("answer"))
			s.end()
		})
	c := &Client{Address: addr, Config: *clientConfig()}
	defer c.Close()
	_, err := c.Send(t.Context(), []byte("first"))
	checkError(t, err, "closed the connection without a whole answer")
	if answer, err := c.Send(t.Context(), []byte("second")); err != nil || string(answer) != "answer" {
		t.Errorf("%q, %v", answer, err)
	}
}

// A connection that the server has closed meanwhile costs no message.
func TestClientReconnectsWhenIdle(t *testing.T) {
	one := func(s *script) {
		s.message()
		s.write(s.answer("answer"))
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
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
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
		if c.conn.stale() || c.conn != first {
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
		s.write(s.answer("answer"))
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

// A session is taken up by another process, which needs no key of its own.
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
		s.write(s.answer("answer"))
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
