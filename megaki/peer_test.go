package megaki

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. Nothing that passes
// takes as long.
const patience = 20 * time.Second

// peer is a client that is driven packet by packet, so that it can send what a
// Conn never would.
type peer struct {
	t testing.TB
	net.Conn
	token Token
	key   [symmetricKey]byte
	box   *box
}

// connect opens a connection to a server and sends nothing.
func connect(t testing.TB, addr string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, conn)
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &peer{t: t, Conn: conn}
}

// established opens a connection and does a handshake.
func established(t testing.TB, addr string) *peer {
	t.Helper()
	p := connect(t, addr)
	p.handshake()
	return p
}

func (p *peer) send(packet []byte) {
	p.t.Helper()
	if _, err := p.Write(packet); err != nil {
		p.t.Fatalf("writing: %v", err)
	}
}

// read reads a packet of one of the types.
func (p *peer) read(types ...byte) []byte {
	p.t.Helper()
	packet, err := readPacket(p, types...)
	if err != nil {
		p.t.Fatal(err)
	}
	return packet
}

// readPacket reads exactly one packet.
func readPacket(r io.Reader, types ...byte) ([]byte, error) {
	e := expectation{state: fmt.Sprintf("types % x", types), types: types, maxMsg: MaxMessageLimit}
	packet := make([]byte, headerSize)
	for n := 0; ; {
		m, err := io.ReadFull(r, packet[n:])
		if n += m; err != nil {
			return nil, fmt.Errorf("reading a packet of %s: %w", e.state, err)
		}
		switch size, err := e.frameSize(packet); {
		case err != nil:
			return nil, err
		case size == n:
			return packet, nil
		case size == 0:
			packet = append(packet, make([]byte, 4)...)
		default:
			packet = append(packet, make([]byte, size-n)...)
		}
	}
}

// refused fails the test unless the server closes the connection without a
// byte.
func (p *peer) refused() {
	p.t.Helper()
	if err := refusal(p); err != nil {
		p.t.Fatal(err)
	}
}

// refusal returns nil if the other side closes the connection without a byte.
func refusal(r io.Reader) error {
	got, err := io.ReadAll(r)
	switch {
	case len(got) > 0:
		return fmt.Errorf("%d bytes came, % x; the connection should just have been closed", len(got), got[:min(16, len(got))])
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the connection wasn't closed")
	}
	return nil
}

// refusedAfter sends a packet that has to be refused.
func (p *peer) refusedAfter(packet []byte) {
	p.t.Helper()
	p.Write(packet) // fails where the server closes in the middle of it
	p.refused()
}

// newSYN makes a SYN. change, if not nil, may change its plaintext.
func newSYN(t testing.TB, change func(*synPlain)) (*synPacket, *synPlain) {
	t.Helper()
	plain := new(synPlain)
	key := testClientKey()
	key.N.FillBytes(plain.modulus())
	binary.BigEndian.PutUint32(plain.exponent(), uint32(key.E))
	rand.Read(plain.ephemeral())
	copy(plain.version(), version[:])
	if change != nil {
		change(plain)
	}
	syn, err := sealSYN(plain, &testKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return syn, plain
}

// hello sends a SYN and returns the ACK that is due next.
func (p *peer) hello() *ackPacket {
	p.t.Helper()
	syn, plain := newSYN(p.t, nil)
	p.send(syn[:])
	return p.respondToSYNACK(plain)
}

func (p *peer) respondToSYNACK(plain *synPlain) *ackPacket {
	p.t.Helper()
	synAck := (*synAckPacket)(p.read(typeSYNACK))
	secret, err := openSYNACK(synAck, plain.ephemeral(), testClientKey())
	if err != nil {
		p.t.Fatal(err)
	}
	ack, half := sealACK(secret, plain.ephemeral())
	serverHalf := [symmetricKey]byte(secret.symmetric())
	p.begin(Token(secret.token()), derive(&serverHalf, half))
	return ack
}

func (p *peer) begin(token Token, key [symmetricKey]byte) {
	p.token, p.key = token, key
	p.box = newBox(&key)
}

func (p *peer) handshake() {
	p.t.Helper()
	p.send(p.hello()[:])
	p.read(typeACKACK)
}

// packet makes a MSG or MSG-RSTOR under the peer's key.
func (p *peer) packet(typ byte, plain []byte) msgPacket {
	m := make(msgPacket, msgHeaderSize+padded(len(plain)))
	copy(m[msgHeaderSize:], plain)
	p.box.seal(m, typ, p.token[:], len(plain))
	return m
}

func (p *peer) msg(plain string) msgPacket { return p.packet(typeMSG, []byte(plain)) }

// rstor makes a MSG-RSTOR, and returns the client augment in it.
func (p *peer) rstor() (msgPacket, [symmetricKey]byte) {
	var augment [symmetricKey]byte
	rand.Read(augment[:])
	return p.packet(typeRSTOR, augment[:]), augment
}

// response reads a response and opens it; packet is the response as it came.
func (p *peer) response() (plain []byte, packet msgPacket) {
	p.t.Helper()
	packet = p.read(typeMSG)
	if !p.box.verify(packet) {
		p.t.Fatal("a response with a wrong MAC")
	}
	return p.box.open(bytes.Clone(packet)), packet
}

// echoes sends a message and checks that the server, which echoes, responds.
func (p *peer) echoes(plain string) {
	p.t.Helper()
	p.send(p.msg(plain))
	if got, _ := p.response(); string(got) != plain {
		p.t.Fatalf("%d bytes came back as %d others", len(plain), len(got))
	}
}

// resume opens a connection, sends a MSG-RSTOR under the key of p, and returns
// the new connection, nil if the server asks for a handshake.
func (p *peer) resume(addr string) *peer {
	p.t.Helper()
	q, resumed := p.tryResume(addr)
	if !resumed {
		return nil
	}
	return q
}

// tryResume is resume that also returns the connection that waits for a SYN.
func (p *peer) tryResume(addr string) (q *peer, resumed bool) {
	p.t.Helper()
	q = connect(p.t, addr)
	packet, augment := p.rstor()
	q.send(packet)
	response := q.read(typeRSTORACK, typeREQREHS)
	if response[5] == typeREQREHS {
		return q, false
	}
	key, err := openRSTORACK(response, &p.key, &augment)
	if err != nil {
		p.t.Fatal(err)
	}
	q.begin(p.token, key)
	return q, true
}

// loseRSTORACK sends a MSG-RSTOR under the key of p and drops the response.
// It reports whether it was a MSG-RSTOR-ACK.
func (p *peer) loseRSTORACK(addr string) bool {
	p.t.Helper()
	q, resumed := p.tryResume(addr)
	q.Close()
	return resumed
}

// asksForHandshake sends a MSG-RSTOR that has to be refused, and goes on with
// a handshake on the same connection.
func asksForHandshake(t testing.TB, addr string, rstor []byte) {
	t.Helper()
	p := connect(t, addr)
	p.send(rstor)
	p.read(typeREQREHS)
	p.handshake()
	p.echoes("after REQ-REHS")
}

// retyped is a packet with another type, and the length that a MSG-RSTOR has.
func retyped(packet msgPacket, typ byte) msgPacket {
	p := bytes.Clone(packet)
	p[5] = typ
	binary.BigEndian.PutUint32(p[6:10], symmetricKey)
	return p
}

// stale reports whether a connection can't carry a message any more.
func stale(c *Conn) bool { return c.broken != nil || c.wire.readable() }

// memory returns a client's part of a new Memory that is exempt from shares.
func memory(limit int64) *memoryClient { return NewMemory(limit).join(netip.Addr{}) }

// eventually waits for a state that others bring about.
func eventually(t testing.TB, what string, state func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !state(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// holdsNothing waits until no message memory is in use.
func holdsNothing(t testing.TB, s *Server) {
	t.Helper()
	eventually(t, "no message memory in use", func() bool { return s.memory.InUse() == 0 })
}
