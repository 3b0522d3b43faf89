package main

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Types of packets.
const (
	typeSYN      = 0x01
	typeSYNACK   = 0x02
	typeACK      = 0x03
	typeMSG      = 0x04
	typeRSTOR    = 0x05
	typeRSTORACK = 0x06
	typeREQREHS  = 0x07
	typeACKACK   = 0x08
)

var version = []byte{0x0A, 0xFF}

func header(typ byte) []byte { return []byte{'M', 'G', 'K', 0xAA, 0xCA, typ} }

func uint32Bytes(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// synPlain returns the plaintext of a SYN.
func synPlain(modulus, exponent, ephemeral, version []byte) []byte {
	return slices.Concat(modulus, exponent, ephemeral, version)
}

func publicKey(key *rsa.PublicKey) (modulus, exponent []byte) {
	return key.N.FillBytes(make([]byte, 256)), uint32Bytes(uint32(key.E))
}

// syn makes a SYN, to the vectors' server.
func (s *source) syn(plain []byte) []byte {
	hash := sha256.Sum256(plain)
	folded := slices.Clone(plain)
	xor(folded[214:294], plain[:80])
	return slices.Concat(header(typeSYN), hash[:],
		s.oaep(&serverKey.PublicKey, folded[:214]), s.oaep(&serverKey.PublicKey, folded[214:]))
}

// synAck makes a SYN-ACK with a token outside and a plaintext inside.
func (s *source) synAck(ephemeral, outer, inner []byte) []byte {
	block := s.oaep(&clientKey.PublicKey, inner)
	return slices.Concat(header(typeSYNACK), mac(ephemeral, block), outer, block)
}

func (s *source) ack(ephemeral, serverSymmetric, outer, inner []byte) []byte {
	iv := s.draw(16)
	body := slices.Concat(iv, cbc(serverSymmetric, iv, inner))
	return slices.Concat(header(typeACK), mac(ephemeral, body), outer, body)
}

// msg makes a MSG, MSG-RSTOR or MSG-RSTOR-ACK.
func (s *source) msg(typ byte, key, token, plain []byte) []byte {
	iv := s.draw(16)
	padded := slices.Concat(plain, s.draw(-len(plain)&15))
	body := slices.Concat(iv, cbc(key, iv, padded))
	return slices.Concat(header(typ), uint32Bytes(uint32(len(plain))), token, mac(key, body), body)
}

// edited returns a copy with bytes replaced.
func edited(p []byte, at int, b ...byte) []byte {
	p = slices.Clone(p)
	copy(p[at:], b)
	return p
}

// flipped returns a copy with one bit of a byte flipped.
func flipped(p []byte, at int) []byte { return edited(p, at, p[at]^1) }

// fields are where the parts of a packet begin.
var fields = map[byte][]struct {
	name string
	at   int
}{
	typeSYN:    {{"hash", 6}, {"block 0", 38}, {"end of block 0", 293}, {"block 1", 294}, {"end of block 1", 549}},
	typeSYNACK: {{"MAC", 6}, {"token", 38}, {"RSA block", 54}, {"end of RSA block", 309}},
	typeACK:    {{"MAC", 6}, {"token", 38}, {"IV", 54}, {"ciphertext", 70}, {"end of ciphertext", 117}},
	typeMSG:    {{"MAC", 26}, {"end of MAC", 57}, {"IV", 58}, {"end of IV", 73}, {"ciphertext", 74}},
}
