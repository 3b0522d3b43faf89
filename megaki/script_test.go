package megaki

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
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

// waitStale waits until something of the server has arrived.
func waitStale(c *Conn) {
	for !c.stale() {
		runtime.Gosched()
	}
}
