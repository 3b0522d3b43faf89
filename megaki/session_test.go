package megaki

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

// otherSession is a session of no version: a frame is a length in 4 bytes, the
// plaintext with each byte inverted, and 9 bytes of trailer. It has other sizes
// than v1 has, and none that is a multiple of anything.
type otherSession struct {
	left   int
	closed bool
}

const otherTrailer = "|trailer|"

func (s *otherSession) headroom() int { return 4 }
func (s *otherSession) tailroom() int { return len(otherTrailer) }
func (s *otherSession) spent() bool   { return s.left == 0 }
func (s *otherSession) rest()         {}
func (s *otherSession) close()        { s.closed = true }

func (s *otherSession) frameSize(prefix []byte) (int, error) {
	if len(prefix) < 4 {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(prefix)
	if n > 1<<20 {
		return 0, &TooLongError{Length: int64(n), Limit: 1 << 20}
	}
	return 4 + int(n) + len(otherTrailer), nil
}

func (s *otherSession) invert(p []byte) {
	for i := range p {
		p[i] = ^p[i]
	}
}

func (s *otherSession) seal(buf []byte, n int) ([]byte, error) {
	s.left--
	binary.BigEndian.PutUint32(buf, uint32(n))
	s.invert(buf[4 : 4+n])
	copy(buf[4+n:], otherTrailer)
	return buf[:4+n+len(otherTrailer)], nil
}

func (s *otherSession) open(frame []byte) ([]byte, error) {
	plain, ok := bytes.CutSuffix(frame[4:], []byte(otherTrailer))
	if !ok {
		return nil, fmt.Errorf("%w: no trailer", errCrypto)
	}
	s.invert(plain)
	return plain, nil
}

// TestConnectionsKnowNoVersion: the connections of both sides carry the messages
// of a session that is not v1's.
func TestConnectionsKnowNoVersion(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	srv := &Server{Keys: []crypto.Decrypter{testKey()}, Handler: HandlerFunc(echo), Logger: slog.New(slog.DiscardHandler)}
	if err := srv.init(); err != nil {
		t.Fatal(err)
	}
	used := &otherSession{left: 6}
	srv.connSlots <- struct{}{}
	server := newServerConn(srv, b)
	srv.track(server)
	server.mem = srv.memory.join(netip.Addr{})
	server.wire = newWire(b, server.mem)
	server.agreement = agreement{session: used}
	ended := make(chan error)
	go func() {
		err := server.carry()
		server.end(err)
		ended <- err
	}()

	a.SetDeadline(time.Now().Add(patience))
	mem := memory(16 << 20)
	client := &Conn{conn: a, mem: mem, wire: newWire(a, mem), maxMessage: 1 << 20, session: &otherSession{left: 100}}
	for _, n := range []int{1, 16, 1000, 1024, 1 << 16, 1 << 20} {
		want := bytes.Repeat([]byte{byte(n), byte(n >> 8), 7}, n)[:n]
		got, err := client.RoundTrip(t.Context(), want)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %d others, %v", n, len(got), err)
		}
	}
	if err := <-ended; !errors.Is(err, errSpent) {
		t.Errorf("the connection ended: %v", err)
	}
	if _, err := io.ReadFull(a, make([]byte, 1)); err != io.EOF {
		t.Errorf("after the last message: %v", err)
	}
	if !used.closed || srv.memory.InUse() != 0 {
		t.Errorf("closed: %t, %d bytes in use", used.closed, srv.memory.InUse())
	}
}
