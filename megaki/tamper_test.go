package megaki

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tampering is a changed packet: cut off, or with one bit flipped.
type tampering struct {
	prefix int // bytes left; -1: all
	bit    int // flipped, counted from the first byte's lowest; -1: none
}

func (m tampering) String() string {
	if m.bit < 0 {
		return fmt.Sprintf("cut to %d bytes", m.prefix)
	}
	return fmt.Sprintf("bit %d of byte %d", m.bit%8, m.bit/8)
}

func (m tampering) apply(packet []byte) []byte {
	if m.bit < 0 {
		return packet[:m.prefix]
	}
	p := bytes.Clone(packet)
	p[m.bit/8] ^= 1 << (m.bit % 8)
	return p
}

// tamperings are every strict prefix of a packet, and flipped bits of every
// byte: every bit, or one of each byte where each costs RSA work.
func tamperings(size int, everyBit bool) (all []tampering) {
	for n := range size {
		all = append(all, tampering{prefix: n, bit: -1})
	}
	for i := range size {
		for b := range 8 {
			if everyBit || b == i%8 {
				all = append(all, tampering{prefix: -1, bit: 8*i + b})
			}
		}
	}
	return all
}

// effect is what becomes of a changed packet.
type effect int

const (
	isRefused effect = iota
	isAccepted
	asksHandshake // REQ-REHS
)

// undetected is what v1 can't see, and what it sees only as a session that
// can't be resumed: effects of flipped bits, by byte. Every other flipped bit
// is refused. The length is 20, so its bits 0, 1 and 3 stay within the block.
func undetected(typ byte, m tampering) effect {
	if m.bit < 0 {
		return isRefused
	}
	i, b := m.bit/8, m.bit%8
	inToken := i >= 10 && i < 26
	switch typ {
	case typeMSG:
		if inToken || i == 9 && (b == 0 || b == 1 || b == 3) {
			return isAccepted
		}
	case typeRSTORACK: // the client has its token
		if inToken {
			return isAccepted
		}
	case typeRSTOR:
		if i >= 10 { // token, MAC, IV, ciphertext
			return asksHandshake
		}
	}
	return isRefused
}

const (
	twentyBytes = "twenty bytes of text"
	parts       = 8 // that run side by side
)

// tamper sends changed packets to a server: due makes a connection on which the
// packet is due, and the packet.
func tamper(t *testing.T, typ byte, all []tampering, due func(t *testing.T) (*peer, []byte)) {
	t.Run(typeName(typ), func(t *testing.T) {
		for part := range parts {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for i := part; i < len(all); i += parts {
					p, packet := due(t)
					m := all[i]
					p.Write(m.apply(packet))
					p.Conn.(*net.TCPConn).CloseWrite() // nothing more comes
					got, _ := io.ReadAll(p)
					p.Close()
					is := isRefused
					switch {
					case len(got) > 5 && got[5] == typeMSG:
						is = isAccepted
					case len(got) == headerSize && got[5] == typeREQREHS:
						is = asksHandshake
					case len(got) > 0:
						t.Errorf("%s: answered with % x", m, got[:min(16, len(got))])
					}
					if is != undetected(typ, m) {
						t.Errorf("%s: effect %d, want %d", m, is, undetected(typ, m))
					}
				}
			})
		}
	})
}

// Every strict prefix, and every flipped byte, of every packet that a client
// sends: refused, with nothing else affected.
func TestTamperedPacketsToTheServer(t *testing.T) {
	s := &Server{Logger: slog.New(slog.DiscardHandler)}
	addr := start(t, s)
	witness := established(t, addr)
	witness.SetDeadline(time.Time{})
	goroutines := runtime.NumGoroutine()

	tamper(t, typeSYN, tamperings(len(synPacket{}), false), func(t *testing.T) (*peer, []byte) {
		syn, _ := newSYN(t, nil)
		return connect(t, addr), syn[:]
	})
	witness.echoes("SYN")
	tamper(t, typeACK, tamperings(len(ackPacket{}), false), func(t *testing.T) (*peer, []byte) {
		p := connect(t, addr)
		return p, p.hello()[:]
	})
	witness.echoes("ACK")

	// Each of the parts below has a session of its own that it resumes over
	// and over, which takes no RSA.
	owners := make(map[string]*peer) // by the name of the part

	for part := range parts {
		for _, name := range []string{"MSG", "MSG-RSTOR"} {
			owners[fmt.Sprintf("%s/%d", name, part)] = established(t, addr)
		}
	}
	owner := func(t *testing.T) *peer {
		_, part, _ := strings.Cut(t.Name(), "/")
		p := owners[part]
		p.t = t
		return p
	}
	tamper(t, typeMSG, tamperings(msgHeaderSize+padded(len(twentyBytes)), true), func(t *testing.T) (*peer, []byte) {
		o := owner(t)
		p := o.resume(addr)
		if p == nil {
			t.Fatal("the owner can't resume")
		}
		o.Close()
		*o = *p // the next key is the owner's
		return p, p.msg(twentyBytes)
	})
	witness.echoes("MSG")
	tamper(t, typeRSTOR, tamperings(msgHeaderSize+symmetricKey, true), func(t *testing.T) (*peer, []byte) {
		packet, _ := owner(t).rstor()
		return connect(t, addr), packet
	})
	for name, p := range owners {
		if strings.HasPrefix(name, "MSG-RSTOR") {
			p.t = t
			q := p.resume(addr)
			if q == nil {
				t.Fatalf("%s: the owner can't resume", name)
			}
			q.Close()
		}
	}
	witness.echoes("RSTOR")
	holdsNothing(t, s)
	for _, p := range owners {
		p.Close()
	}
	eventually(t, "the witness's connection alone", func() bool { return s.Connections() == 1 })
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// tamperedResponses sends a client changed packets of one type. run does what
// leads to the packet, and returns what the client got, or its error.
func tamperedResponses(t *testing.T, typ byte, all []tampering, serve func(s *script), run func(conn net.Conn) (string, error)) {
	t.Run(typeName(typ), func(t *testing.T) {
		for part := range parts {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for i := part; i < len(all); i += parts {
					m := all[i]
					var met atomic.Bool
					conn := scriptedPipe(t, func(s *script) {
						s.change = func(packet []byte) []byte {
							if packet[5] != typ {
								return packet
							}
							met.Store(true)
							packet = m.apply(packet)
							if undetected(typ, m) == isAccepted {
								return packet
							}
							go io.Copy(io.Discard, s) // a client that goes on isn't held up
							s.Conn.Write(packet)
							return nil
						}
						defer s.Close()
						serve(s)
					})
					got, err := run(conn)
					conn.Close()
					if !met.Load() {
						t.Fatalf("%s: the client never met the packet: %v", m, err)
					}
					if accepted := err == nil; accepted != (undetected(typ, m) == isAccepted) {
						t.Errorf("%s: %q, %v", m, got, err)
					}
				}
			})
		}
	})
}

// Every strict prefix, and every flipped byte, of every packet that a server
// sends, against our client.
func TestTamperedPacketsToTheClient(t *testing.T) {
	handshake := func(conn net.Conn) (string, error) {
		_, err := NewConn(context.Background(), conn, clientConfig())
		return "a connection", err
	}
	tamperedResponses(t, typeSYNACK, tamperings(len(synAckPacket{}), false), (*script).handshake, handshake)
	tamperedResponses(t, typeACKACK, tamperings(headerSize, true), (*script).handshake, handshake)

	old := Session{Token: Token{1}, Key: [symmetricKey]byte{2}}
	resume := func(conn net.Conn) (string, error) {
		cfg := clientConfig()
		cfg.Session = &old
		c, err := NewConn(context.Background(), conn, cfg)
		if err != nil {
			return "", err
		}
		if !c.Resumed() || c.Session().Token != old.Token {
			return "", fmt.Errorf("resumed %v, token %s", c.Resumed(), c.Session().Token)
		}
		got, err := c.RoundTrip(context.Background(), []byte("x"))
		return string(got), err
	}
	response := func(s *script) {
		s.resume(old.Key)
		s.readPacket(typeMSG)
		s.write(s.packet(typeMSG, []byte(twentyBytes)))
	}
	// A RSTOR-ACK is accepted where the message after it comes through.
	tamperedResponses(t, typeRSTORACK, tamperings(msgHeaderSize+symmetricKey, true), response, resume)
	tamperedResponses(t, typeMSG, tamperings(msgHeaderSize+padded(len(twentyBytes)), true), response, resume)
	tamperedResponses(t, typeREQREHS, tamperings(headerSize, true), func(s *script) {
		s.readPacket(typeRSTOR)
		s.header(typeREQREHS)
	}, resume)
}

// The table of what v1 can't detect has what it should.
func TestUndetected(t *testing.T) {
	var accepted []string
	for _, m := range tamperings(msgHeaderSize+32, true) {
		if undetected(typeMSG, m) != isRefused && (m.bit/8 < 10 || m.bit/8 >= 26) {
			accepted = append(accepted, m.String())
		}
	}
	if want := []string{"bit 0 of byte 9", "bit 1 of byte 9", "bit 3 of byte 9"}; !slices.Equal(accepted, want) {
		t.Errorf("%q", accepted)
	}
}
