package megaki

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// script is a connection of a server that does what a test wants, right or
// wrong. Its methods end the script when they fail.
type script struct {
	net.Conn
	t testing.TB
	// tampered is set where the client may close at any time, because what it
	// receives is changed: then reading and writing may fail.
	tampered bool
	// change, if set, may change what is written. If it returns nil, the script ends.
	change func(packet []byte) []byte

	// From readSYN on.
	plain     *synPlain
	clientKey *rsa.PublicKey
	secret    secretPlain

	// From handshake or resume on.
	token Token
	box   *box
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
				f(&script{t: t, Conn: conn})
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

// scriptedPipe runs a script that tampers at the other end of a pipe, which is
// closed after it. The script also ends when the client closes the pipe.
func scriptedPipe(t testing.TB, run func(s *script)) net.Conn {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		run(&script{t: t, Conn: server, tampered: true})
	}()
	t.Cleanup(func() {
		client.Close()
		<-done
	})
	return client
}

// scriptedConn returns a Conn with a script that tampers at its other end.
func scriptedConn(t testing.TB, run func(s *script)) *Conn {
	t.Helper()
	c, err := NewConn(context.Background(), scriptedPipe(t, run), clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *script) fail(err error) {
	if !s.tampered {
		s.t.Errorf("script: %v", err)
	}
	runtime.Goexit()
}

// read reads n bytes.
func (s *script) read(n int) []byte {
	p := make([]byte, n)
	if _, err := io.ReadFull(s.Conn, p); err != nil {
		s.fail(err)
	}
	return p
}

// readPacket reads a packet of one of the types.
func (s *script) readPacket(types ...byte) []byte {
	p, err := readPacket(s.Conn, types...)
	if err != nil {
		s.fail(err)
	}
	return p
}

func (s *script) write(p []byte) {
	if s.change != nil {
		if p = s.change(p); p == nil {
			runtime.Goexit()
		}
	}
	if _, err := s.Conn.Write(p); err != nil {
		s.fail(err)
	}
}

// header writes a packet that is a header alone.
func (s *script) header(typ byte) {
	var p [headerSize]byte
	putHeader(p[:], typ)
	s.write(p[:])
}

// end waits until the client closes, and checks that it sends nothing before.
func (s *script) end() {
	if n, _ := io.Copy(io.Discard, s.Conn); n > 0 {
		s.t.Errorf("the client sent %d bytes more", n)
	}
}

func (s *script) readSYN() {
	var err error
	s.plain, s.clientKey, _, err = openSYN((*synPacket)(s.readPacket(typeSYN)), serverKeys(testKey()), decryptOAEP)
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
	half, err := openACK((*ackPacket)(s.readPacket(typeACK)), s.plain.ephemeral(), &s.secret)
	if err != nil {
		s.fail(err)
	}
	s.begin(Token(s.secret.token()), derive((*[symmetricKey]byte)(s.secret.symmetric()), &half))
	s.header(typeACKACK)
}

// resume responds to a MSG-RSTOR under a key.
func (s *script) resume(key [symmetricKey]byte) {
	p := msgPacket(s.readPacket(typeRSTOR))
	r, ok := acceptResume(&Record{Current: SessionKey{Key: key}}, p, [symmetricKey]byte{7}, nil, verifyUnder)
	if !ok {
		s.t.Error("the client sent a wrong MSG-RSTOR")
		runtime.Goexit()
	}
	s.begin(Token(p.token()), r.key.Key)
	s.write(sealed(newBox(&r.mid), typeRSTORACK, p.token(), r.augment[:]))
}

// refuseResume responds to a MSG-RSTOR by asking for a handshake.
func (s *script) refuseResume() {
	s.readPacket(typeRSTOR)
	s.header(typeREQREHS)
}

func (s *script) begin(token Token, key [symmetricKey]byte) { s.token, s.box = token, newBox(&key) }

// message reads a whole MSG, and returns it decrypted.
func (s *script) message() msgPacket {
	p := msgPacket(s.readPacket(typeMSG))
	if !s.box.verify(p) {
		s.fail(errors.New("message with a wrong MAC"))
	}
	s.box.open(p)
	return p
}

// response makes a response.
func (s *script) response(plain string) msgPacket { return s.packet(typeMSG, []byte(plain)) }

// packet makes a packet under the session's key.
func (s *script) packet(typ byte, plain []byte) msgPacket {
	return sealed(s.box, typ, s.token[:], plain)
}

func checkError(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got the error %v, want one that contains %q", err, says)
	}
}

// waitStale waits until something of the server has arrived.
func waitStale(c *Conn) {
	for !stale(c) {
		runtime.Gosched()
	}
}
