package megaki

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"runtime"
	"testing"
)

// scriptedServer is a server that is driven packet by packet, so that it can
// send what a Server never would.
type scriptedServer struct {
	net.Conn
	token Token
	key   [symmetricKey]byte
	box   *box

	// change, if set, may change what is sent. If it returns nil, the script ends.
	change func(packet []byte) []byte
}

// scriptedPipe runs a script at the other end of a connection, which is closed after
// it. The script ends as well when the client closes it.
func scriptedPipe(t testing.TB, run func(s *scriptedServer)) net.Conn {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		run(&scriptedServer{Conn: server})
	}()
	t.Cleanup(func() {
		client.Close()
		<-done
	})
	return client
}

// scriptedConn is a Conn with a script at its other end.
func scriptedConn(t testing.TB, run func(s *scriptedServer)) *Conn {
	t.Helper()
	c, err := NewConn(context.Background(), scriptedPipe(t, run), clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *scriptedServer) send(packet []byte) {
	if s.change != nil {
		packet = s.change(packet)
	}
	if packet == nil {
		runtime.Goexit()
	}
	if _, err := s.Write(packet); err != nil {
		runtime.Goexit()
	}
}

// read reads a packet of one of the types.
func (s *scriptedServer) read(types ...byte) []byte {
	p, err := readPacket(s, types...)
	if err != nil {
		runtime.Goexit() // the client has closed, as it should
	}
	return p
}

func (s *scriptedServer) handshake() {
	plain, clientKey, err := openSYN((*synPacket)(s.read(typeSYN)), []*rsa.PrivateKey{testKey()}, nil)
	if err != nil {
		panic(err)
	}
	secret := new(secretPlain)
	rand.Read(secret[:])
	synAck, err := sealSYNACK(secret.token(), secret, plain.ephemeral(), clientKey)
	if err != nil {
		panic(err)
	}
	s.send(synAck[:])
	clientHalf, err := openACK((*ackPacket)(s.read(typeACK)), plain.ephemeral(), secret)
	if err != nil {
		panic(err)
	}
	serverHalf := [symmetricKey]byte(secret.symmetric())
	s.begin(Token(secret.token()), derive(&serverHalf, &clientHalf))
	s.header(typeACKACK)
}

// resume answers a MSG-RSTOR under a key.
func (s *scriptedServer) resume(key [symmetricKey]byte) {
	p := msgPacket(s.read(typeRSTOR))
	record := &Record{Current: SessionKey{Key: key}}
	r, ok := acceptResume(record, p)
	if !ok {
		panic("the client sent a wrong MSG-RSTOR")
	}
	ack := make(msgPacket, msgHeaderSize+symmetricKey)
	copy(ack[msgHeaderSize:], r.augment[:])
	newBox(&r.mid).seal(ack, typeRSTORACK, p.token(), symmetricKey)
	s.begin(Token(p.token()), r.key.Key)
	s.send(ack)
}

func (s *scriptedServer) begin(token Token, key [symmetricKey]byte) {
	s.token, s.key, s.box = token, key, newBox(&key)
}

// header sends a packet that is a header alone.
func (s *scriptedServer) header(typ byte) {
	p := make([]byte, headerSize)
	putHeader(p, typ)
	s.send(p)
}

// packet makes a packet under the session's key.
func (s *scriptedServer) packet(typ byte, plain []byte) msgPacket {
	return (&peer{token: s.token, box: s.box}).packet(typ, plain)
}
