package megaki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

// The tests of this file, faults_handshake_test.go and faults_resume_test.go are
// named for the faults of the reference server: the quoted line of each
// describes the fault.

// "A MSG of 4,017 bytes (a packet over 4,096) overflows a buffer; above 8,192
// the request reaches PHP cut off."
func TestFaultLargeMessages(t *testing.T) {
	addr := start(t, &Server{})
	p := established(t, addr)
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
			established(t, addr).refusedAfter(header)
		}
	}
	holdsNothing(t, s)
	// Refused without a byte of memory beyond the smallest buffer.
	mem := memory(int64(classSize(0)))
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
	p := established(t, addr)
	p.echoes(strings.Repeat("m", DefaultMaxMessage))
	p.refusedAfter(p.msg(strings.Repeat("m", DefaultMaxMessage+1)))
	if n := entered.Load(); n != 1 {
		t.Errorf("the handler saw %d messages", n)
	}
	p = established(t, addr)
	p.refusedAfter(p.msg("too much"))
	holdsNothing(t, s)
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
	p := established(t, addr)
	p.refusedAfter(append(p.msg("x"), 'M'))
	p = established(t, addr)
	p.refusedAfter(append(p.msg("x"), p.msg("y")...))
	syn, _ := newSYN(t, nil)
	connect(t, addr).refusedAfter(append(syn[:], 0))
}

// "A MSG of length 0 from the client is refused by closing": the same; and a
// response may be empty.
func TestEmptyMessageAndEmptyResponse(t *testing.T) {
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error { return nil })})
	p := established(t, addr)
	p.refusedAfter(p.packet(typeMSG, nil))
	p = established(t, addr)
	for range 3 {
		p.send(p.msg("x"))
		if got, packet := p.response(); len(got) != 0 || len(packet) != msgHeaderSize {
			t.Errorf("response of %d bytes, packet of %d", len(got), len(packet))
		}
	}
	c := dial(t, addr, clientConfig())
	if got, err := c.RoundTrip(t.Context(), []byte("x")); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// libsazukari sends MSGs with a token of rubbish after it has resumed: they
// are accepted by their MAC, and the response has the token that they carried.
func TestRubbishToken(t *testing.T) {
	var session atomic.Value
	addr := start(t, &Server{Handler: HandlerFunc(func(w *ResponseWriter, r *Request) error {
		session.Store(r.Session)
		return echo(w, r)
	})})
	p := established(t, addr)
	q := p.resume(addr)
	for _, p := range []*peer{p, q} {
		for _, token := range []Token{{}, {1, 2, 3}, Token(bytes.Repeat([]byte{0xFF}, 16)), p.token} {
			m := p.msg("x")
			copy(m.token(), token[:])
			p.send(m)
			if _, packet := p.response(); Token(packet.token()) != token {
				t.Errorf("answered with token %x, not %s", packet.token(), token)
			}
			if got := session.Load(); got != p.token {
				t.Errorf("the handler got the session %s, want %s", got, p.token)
			}
		}
	}
}

// A client that closes its writing half gets its response, and then the end.
func TestHalfClosed(t *testing.T) {
	s := &Server{}
	addr := start(t, s)
	p := established(t, addr)
	p.send(p.msg("last words"))
	p.Conn.(*net.TCPConn).CloseWrite()
	if got, _ := p.response(); string(got) != "last words" {
		t.Errorf("%q", got)
	}
	if n, err := p.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
}
