package megaki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
)

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
		t.Run(fmt.Sprintf("exponent %d is accepted", e), func(t *testing.T) {
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
		response := (*synAckPacket)(p.read(typeSYNACK))
		p.refused()
		if !bytes.Equal(response.token(), bytes.Repeat([]byte{0xEE}, 16)) {
			t.Errorf("outer token % x", response.token())
		}
		if !bytes.Equal(response.mac(), newBox((*[symmetricKey]byte)(plain.ephemeral())).authenticate(response.block())) {
			t.Error("wrong MAC")
		}
		inner, err := decryptOAEP(testClientKey(), response.block())
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 48) // 01 00..., in 16 bytes and again in 32
		want[0], want[16] = 1, 1
		if !bytes.Equal(inner, want) {
			t.Errorf("inner plaintext % x", inner)
		}
		var refused *ServerError
		if _, err := openSYNACK(response, plain.ephemeral(), testClientKey()); !errors.As(err, &refused) || refused.Code != CodeVersion {
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
			p := established(t, addr)
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

// A right hash must not make up for blocks of other sizes: they have 214 and 80
// bytes.
func TestSYNPiecesHaveTheirSizes(t *testing.T) {
	// Where the second piece ends with a zero, it hashes the same with that
	// byte left out.
	syn, plain := newSYN(t, func(p *synPlain) { p[293] = p[79] })
	keys := serverKeys(testKey())
	if _, _, _, err := openSYN(syn, keys, decryptOAEP); err != nil {
		t.Fatalf("the packet to begin with: %v", err)
	}
	folded := *plain
	folded.fold()
	if err := encryptOAEP(syn.block1(), &testKey().PublicKey, folded[oaepMax:len(folded)-1]); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := openSYN(syn, keys, decryptOAEP); !errors.Is(err, errCrypto) {
		t.Errorf("a second piece of 79 bytes: %v", err)
	}
}

// A server with two keys takes clients of either.
func TestTwoServerKeys(t *testing.T) {
	s := &Server{}
	s.Keys = append(s.Keys, testClientKey(), testKey())
	addr := start(t, s)
	established(t, addr).echoes("x")
}
