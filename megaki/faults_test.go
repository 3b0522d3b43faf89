package megaki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

// The tests of this file and of faults_resume_test.go are named for the faults
// of the reference server: the quoted line of each says what that one does.

// "A MSG of 4,017 bytes (a packet over 4,096) overflows a buffer; above 8,192
// the request reaches PHP cut off."
func TestFaultLargeMessages(t *testing.T) {
	addr := start(t, &Server{})
	p := session(t, addr)
	for _, size := range []int{4016, 4017, 4022, 8192, 8193, 65536} {
		p.echoes(strings.Repeat("m", size))
	}
}

// "A length is believed before any key is agreed, and rounding it up wraps at
// 32 bits."
func TestFaultLengthBeforeItIsChecked(t *testing.T) {
	// The timeouts are never reached: what is refused is refused at once.
	s := &Server{HandshakeTimeout: time.Hour, MessageTimeout: time.Hour, IdleTimeout: time.Hour}
	addr := start(t, s)
	lengths := []uint32{0xFFFFFFF5, 0xFFFFFFF0, 0xFFFFFFFF, 1<<31 - 1, 1 << 31, DefaultMaxMessage + 1}
	for _, length := range lengths {
		for _, typ := range []byte{typeMSG, typeRSTOR, typeRSTORACK} {
			header := make([]byte, headerSize+4)
			putHeader(header, typ)
			binary.BigEndian.PutUint32(header[6:], length)
			connect(t, addr).refusedAfter(header)
			session(t, addr).refusedAfter(header)
		}
	}
	holdsNothing(t, s)
	// Refused without a byte of memory beyond the smallest buffer.
	mem := NewMemory(int64(classSize(0)))
	for _, length := range lengths {
		header := make([]byte, headerSize+4)
		putHeader(header, typeMSG)
		binary.BigEndian.PutUint32(header[6:], length)
		a, b := net.Pipe()
		go b.Write(header)
		w := newWire(a, mem)
		var tooLong *TooLongError
		if _, err := w.packet(&expectation{types: []byte{typeMSG}, maxMsg: DefaultMaxMessage}); !errors.As(err, &tooLong) {
			t.Errorf("length %#x: %v", length, err)
		}
		if got := mem.InUse(); got != int64(classSize(0)) {
			t.Errorf("length %#x: %d bytes in use", length, got)
		}
		w.release()
		a.Close()
		b.Close()
	}
}

// "Limits that differ by layer (4,016, 8,192, 1 MiB)": there is one, and it is
// exact, both ways.
func TestFaultOneLimit(t *testing.T) {
	var entered atomic.Int32
	s := &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		entered.Add(1)
		if string(r.Body) == "too much" {
			err := w.Grow(w.Limit() + 1)
			var tooLong *TooLongError
			if !errors.As(err, &tooLong) {
				t.Errorf("Grow: %v", err)
			}
			if _, err = w.Write(make([]byte, w.Limit()+1)); !errors.As(err, &tooLong) {
				t.Errorf("Write: %v", err)
			}
			if _, err = w.ReadFrom(bytes.NewReader(make([]byte, w.Limit()+1))); !errors.As(err, &tooLong) {
				t.Errorf("ReadFrom: %v", err)
			}
			return err
		}
		return echo(w, r)
	})}
	addr := start(t, s)
	p := session(t, addr)
	p.echoes(strings.Repeat("m", DefaultMaxMessage))
	p.refusedAfter(p.msg(strings.Repeat("m", DefaultMaxMessage+1)))
	if n := entered.Load(); n != 1 {
		t.Errorf("the handler saw %d messages", n)
	}
	p = session(t, addr)
	p.refusedAfter(p.msg("too much"))
	holdsNothing(t, s)
}

// "Four clients doing handshakes at once hang or abort it within seconds."
func TestFaultManyHandshakesAtOnce(t *testing.T) {
	addr := start(t, &Server{HandshakeTimeout: patience})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			c, err := Dial(t.Context(), "tcp", addr, clientConfig())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if got, err := c.RoundTrip(t.Context(), []byte("x")); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

// oneByteConn reads and writes single bytes.
type oneByteConn struct{ net.Conn }

func (c oneByteConn) Read(p []byte) (int, error) { return iotest.OneByteReader(c.Conn).Read(p) }

func (c oneByteConn) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// oneByteListener accepts connections that read and write single bytes.
type oneByteListener struct{ net.Listener }

func (l oneByteListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return oneByteConn{c}, nil
}

// "A SYN that arrives in pieces is refused": any segmentation works, on the
// sockets of package net and on connections that wrap them.
func TestFaultPiecewise(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(oneByteListener{l}) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	for _, addr := range []string{addr, l.Addr().String()} {
		for _, wrap := range []func(net.Conn) net.Conn{
			func(c net.Conn) net.Conn { return c },
			func(c net.Conn) net.Conn { return oneByteConn{c} },
		} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			p := newPeer(t, wrap(conn))
			p.send((&peer{t: t, box: newBox(new([symmetricKey]byte))}).packet(typeRSTOR, make([]byte, symmetricKey)))
			p.read(typeREQREHS)
			p.handshake()
			p.echoes("x")
			p.echoes(strings.Repeat("m", 3000))

			if conn, err = net.Dial("tcp", addr); err != nil {
				t.Fatal(err)
			}
			q := newPeer(t, wrap(conn))
			packet, augment := p.rstor()
			q.send(packet)
			key, err := openRSTORACK(q.read(typeRSTORACK), &p.key, &augment)
			if err != nil {
				t.Fatal(err)
			}
			q.begin(p.token, key)
			q.echoes("y")
		}
	}
}

// Both sides keep to strict turns: bytes after a packet are an error.
func TestBytesOutOfTurn(t *testing.T) {
	addr := start(t, &Server{})
	p := session(t, addr)
	p.refusedAfter(append(p.msg("x"), 'M'))
	p = session(t, addr)
	p.refusedAfter(append(p.msg("x"), p.msg("y")...))
	syn, _ := newSYN(t, nil)
	connect(t, addr).refusedAfter(append(syn[:], 0))
}

// "Client keys with exponent 0 or 1, or of 2,041 to 2,047 bits, are used."
func TestFaultWeakClientKeys(t *testing.T) {
	addr := start(t, &Server{})
	exponent := func(e uint32) func(*synPlain) {
		return func(p *synPlain) { binary.BigEndian.PutUint32(p.exponent(), e) }
	}
	bits := func(n int) func(*synPlain) {
		return func(p *synPlain) {
			m := p.modulus()
			m[0] &= 1<<(n-2040) - 1
			m[0] |= 1 << (n - 2041)
		}
	}
	tests := map[string]func(*synPlain){
		"exponent 0":      exponent(0),
		"exponent 1":      exponent(1),
		"exponent 2":      exponent(2),
		"exponent 65536":  exponent(65536),
		"exponent 2^31":   exponent(1 << 31),
		"exponent 2^31+1": exponent(1<<31 + 1),
		"exponent 2^32-1": exponent(1<<32 - 1),
		"modulus 0":       func(p *synPlain) { clear(p.modulus()) },
		"even modulus":    func(p *synPlain) { p.modulus()[255] &^= 1 },
		"1024 bits":       func(p *synPlain) { clear(p.modulus()[:128]) },
	}
	for n := 2041; n <= 2047; n++ {
		tests[fmt.Sprintf("%d bits", n)] = bits(n)
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			syn, _ := newSYN(t, change)
			connect(t, addr).refusedAfter(syn[:])
		})
	}
	for _, e := range []uint32{3, 65537, 1<<31 - 1} {
		t.Run(fmt.Sprintf("exponent %d is taken", e), func(t *testing.T) {
			p := connect(t, addr)
			syn, _ := newSYN(t, exponent(e))
			p.send(syn[:])
			p.read(typeSYNACK)
		})
	}
}

// A SYN of another version gets the error SYN-ACK in the form that libsazukari
// reads: outer token EE, the code in the first half of the inner plaintext,
// and again where the reference server has it.
func TestWrongVersion(t *testing.T) {
	addr := start(t, &Server{})
	for _, v := range [][2]byte{{0, 0}, {0x0A, 0xFE}, {0x0B, 0xFF}, {0xFF, 0x0A}} {
		p := connect(t, addr)
		syn, plain := newSYN(t, func(p *synPlain) { copy(p.version(), v[:]) })
		p.send(syn[:])
		answer := (*synAckPacket)(p.read(typeSYNACK))
		p.refused()
		if !bytes.Equal(answer.token(), bytes.Repeat([]byte{0xEE}, 16)) {
			t.Errorf("outer token % x", answer.token())
		}
		if !bytes.Equal(answer.mac(), newBox((*[symmetricKey]byte)(plain.ephemeral())).authenticate(answer.block())) {
			t.Error("wrong MAC")
		}
		inner, err := decryptOAEP(testClientKey(), answer.block())
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 48) // 01 00..., in 16 bytes and again in 32
		want[0], want[16] = 1, 1
		if !bytes.Equal(inner, want) {
			t.Errorf("inner plaintext % x", inner)
		}
		var refused *ServerError
		if _, err := openSYNACK(answer, plain.ephemeral(), testClientKey()); !errors.As(err, &refused) || refused.Code != CodeVersion {
			t.Errorf("our own client reads it as %v", err)
		}
	}
}

// "A failed RSTOR, a wrong version and other failures look alike only by
// luck": every failure of a check that a secret decides is one silent close.
func TestFaultFailuresLookTheSame(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	syn := func(change func(p *synPacket)) func(*testing.T) {
		return func(t *testing.T) {
			p, _ := newSYN(t, nil)
			change(p)
			connect(t, addr).refusedAfter(p[:])
		}
	}
	ack := func(change func(p *peer, ack *ackPacket)) func(*testing.T) {
		return func(t *testing.T) {
			p := connect(t, addr)
			packet := p.hello()
			change(p, packet)
			p.refusedAfter(packet[:])
		}
	}
	msg := func(change func(m msgPacket)) func(*testing.T) {
		return func(t *testing.T) {
			p := session(t, addr)
			m := p.msg("twenty bytes of text")
			change(m)
			p.refusedAfter(m)
		}
	}
	// reseal makes an ACK anew, with keys that only the client has.
	reseal := func(change func(secret *secretPlain, outer []byte)) func(*testing.T) {
		return func(t *testing.T) {
			p := connect(t, addr)
			packet, plain := newSYN(t, nil)
			p.send(packet[:])
			secret, err := openSYNACK((*synAckPacket)(p.read(typeSYNACK)), plain.ephemeral(), testClientKey())
			if err != nil {
				t.Fatal(err)
			}
			ack, _ := sealACK(secret, plain.ephemeral())
			inner := *secret
			outer := bytes.Clone(secret.token())
			change(&inner, outer)
			copy(ack.token(), outer)
			copy(ack.ciphertext(), inner[:])
			newBox((*[symmetricKey]byte)(secret.symmetric())).encrypt(ack.iv(), ack.ciphertext())
			copy(ack.mac(), newBox((*[symmetricKey]byte)(plain.ephemeral())).authenticate(ack.signed()))
			p.refusedAfter(ack[:])
		}
	}
	wrongBlock := func(block func(*synPacket) []byte, plain []byte) func(*synPacket) {
		return func(p *synPacket) {
			if err := encryptOAEP(block(p), &testKey().PublicKey, plain); err != nil {
				t.Error(err)
			}
		}
	}
	for name, test := range map[string]func(*testing.T){
		"SYN hash":                  syn(func(p *synPacket) { p.hash()[31] ^= 1 }),
		"SYN block 0":               syn(func(p *synPacket) { p.block0()[100] ^= 1 }),
		"SYN block 1":               syn(func(p *synPacket) { p.block1()[100] ^= 1 }),
		"SYN blocks of zeros":       syn(func(p *synPacket) { clear(p[38:]) }),
		"SYN blocks over the key":   syn(func(p *synPacket) { copy(p[38:], bytes.Repeat([]byte{0xFF}, 512)) }),
		"SYN block 0 of 213 bytes":  syn(wrongBlock((*synPacket).block0, make([]byte, 213))),
		"SYN block 1 of 79 bytes":   syn(wrongBlock((*synPacket).block1, make([]byte, 79))),
		"SYN block 1 of 214 bytes":  syn(wrongBlock((*synPacket).block1, make([]byte, 214))),
		"SYN block 1 of no bytes":   syn(wrongBlock((*synPacket).block1, nil)),
		"ACK MAC":                   ack(func(p *peer, a *ackPacket) { a.mac()[0] ^= 1 }),
		"ACK IV":                    ack(func(p *peer, a *ackPacket) { a.iv()[0] ^= 1 }),
		"ACK outer token":           ack(func(p *peer, a *ackPacket) { a.token()[0] ^= 1 }),
		"ACK inner token":           reseal(func(s *secretPlain, outer []byte) { s.token()[0] ^= 1 }),
		"ACK, both tokens the same": reseal(func(s *secretPlain, outer []byte) { s.token()[0] ^= 1; outer[0] ^= 1 }),
		"MSG MAC":                   msg(func(m msgPacket) { m.mac()[31] ^= 1 }),
		"MSG ciphertext":            msg(func(m msgPacket) { m.ciphertext()[0] ^= 1 }),
		"MSG of length 0":           msg(func(m msgPacket) { binary.BigEndian.PutUint32(m[6:], 0) }),
	} {
		t.Run(name, test)
	}
	holdsNothing(t, s)
}

// A hash that fits must not save blocks of other sizes: what a SYN says stands
// in 214 and 80 bytes.
func TestSYNPiecesHaveTheirSizes(t *testing.T) {
	// Where the second piece ends with a zero, it hashes the same with that
	// byte left out.
	syn, plain := newSYN(t, func(p *synPlain) { p[293] = p[79] })
	if !decryptSYN(new(synPlain), syn, testKey(), nil) {
		t.Fatal("the packet to begin with is wrong")
	}
	folded := *plain
	folded.fold()
	if err := encryptOAEP(syn.block1(), &testKey().PublicKey, folded[oaepMax:len(folded)-1]); err != nil {
		t.Fatal(err)
	}
	if decryptSYN(new(synPlain), syn, testKey(), nil) {
		t.Error("a second piece of 79 bytes is taken")
	}
}

// "A MSG of length 0 from the client is refused by closing": the same; and an
// empty answer is right.
func TestEmptyMessageAndEmptyAnswer(t *testing.T) {
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error { return nil })})
	p := session(t, addr)
	p.refusedAfter(p.packet(typeMSG, nil))
	p = session(t, addr)
	for range 3 {
		p.send(p.msg("x"))
		if got, packet := p.answer(); len(got) != 0 || len(packet) != msgHeaderSize {
			t.Errorf("answer of %d bytes, packet of %d", len(got), len(packet))
		}
	}
	c := dial(t, addr, clientConfig())
	if got, err := c.RoundTrip(t.Context(), []byte("x")); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// libsazukari sends MSGs with a token of rubbish after it has resumed: they
// are taken by their MAC, and answered with the token that they carried.
func TestRubbishToken(t *testing.T) {
	var told atomic.Value
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		told.Store(r.Session)
		return echo(w, r)
	})})
	p := session(t, addr)
	q := p.resume(addr)
	for _, p := range []*peer{p, q} {
		for _, token := range []Token{{}, {1, 2, 3}, Token(bytes.Repeat([]byte{0xFF}, 16)), p.token} {
			m := p.msg("x")
			copy(m.token(), token[:])
			p.send(m)
			if _, packet := p.answer(); Token(packet.token()) != token {
				t.Errorf("answered with token %x, not %s", packet.token(), token)
			}
			if got := told.Load(); got != p.token {
				t.Errorf("the handler was told the session %s, it is %s", got, p.token)
			}
		}
	}
}

// A server with two keys takes clients of either.
func TestTwoServerKeys(t *testing.T) {
	s := &Server{}
	s.Keys = append(s.Keys, testClientKey(), testKey())
	addr := start(t, s)
	session(t, addr).echoes("x")
}

// A client that closes its writing half gets its answer, and then the end.
func TestHalfClosed(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	p := session(t, addr)
	p.send(p.msg("last words"))
	p.Conn.(*net.TCPConn).CloseWrite()
	if got, _ := p.answer(); string(got) != "last words" {
		t.Errorf("%q", got)
	}
	if n, err := p.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}
