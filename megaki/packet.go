package megaki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes in bytes of the fields that packets are made of.
const (
	headerSize   = 6 // magic and type
	tokenSize    = 16
	macSize      = 32
	ivSize       = 16
	blockSize    = 16  // AES
	rsaSize      = 256 // one block of RSA-2048
	symmetricKey = 32
	oaepMax      = rsaSize - 2*20 - 2 // OAEP with SHA-1 (RFC 8017, section 7.1.1)

	msgHeaderSize = headerSize + 4 + tokenSize + macSize + ivSize // 74
)

// The types of packets: the byte after the magic.
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

// magic begins every packet.
var magic = [5]byte{'M', 'G', 'K', 0xAA, 0xCA}

// version is the version of the protocol, as a SYN carries it.
var version = [2]byte{0x0A, 0xFF}

// synPacket is the client's first packet.
//
//	0    6    magic, type 01
//	6    32   SHA-256 of the plaintext
//	38   256  RSA block 0: plaintext bytes 0..213
//	294  256  RSA block 1: plaintext bytes 214..293, XORed with bytes 0..79
type synPacket [headerSize + 32 + 2*rsaSize]byte

func (p *synPacket) hash() []byte   { return p[6:38] }
func (p *synPacket) block0() []byte { return p[38:294] }
func (p *synPacket) block1() []byte { return p[294:550] }

// synPlain is the plaintext of a SYN.
//
//	0    256  modulus of the client's key
//	256  4    its exponent
//	260  32   ephemeral key: the MAC key of SYN-ACK and ACK
//	292  2    version
type synPlain [rsaSize + 4 + symmetricKey + 2]byte

func (p *synPlain) modulus() []byte   { return p[0:256] }
func (p *synPlain) exponent() []byte  { return p[256:260] }
func (p *synPlain) publicKey() []byte { return p[0:260] }
func (p *synPlain) ephemeral() []byte { return p[260:292] }
func (p *synPlain) version() []byte   { return p[292:294] }

// fold XORs bytes 214..293 with bytes 0..79, as block 1 carries them. It is its
// own inverse.
func (p *synPlain) fold() {
	for i := range p[oaepMax:] {
		p[oaepMax+i] ^= p[i]
	}
}

// synAckPacket is the response to a SYN.
//
//	0    6    magic, type 02
//	6    32   MAC under the ephemeral key, over the RSA block
//	38   16   token
//	54   256  RSA block: token, server_symmetric
type synAckPacket [headerSize + macSize + tokenSize + rsaSize]byte

func (p *synAckPacket) mac() []byte   { return p[6:38] }
func (p *synAckPacket) token() []byte { return p[38:54] }
func (p *synAckPacket) block() []byte { return p[54:310] }

// secretPlain is the plaintext of a SYN-ACK and of an ACK.
//
//	0    16   token
//	16   32   the sender's half of the master key
type secretPlain [tokenSize + symmetricKey]byte

func (p *secretPlain) token() []byte     { return p[0:16] }
func (p *secretPlain) symmetric() []byte { return p[16:48] }

// ackPacket is the response to a SYN-ACK.
//
//	0    6    magic, type 03
//	6    32   MAC under the ephemeral key, over IV and ciphertext
//	38   16   token
//	54   16   IV
//	70   48   ciphertext under server_symmetric: token, client_symmetric
type ackPacket [headerSize + macSize + tokenSize + ivSize + 48]byte

func (p *ackPacket) mac() []byte        { return p[6:38] }
func (p *ackPacket) token() []byte      { return p[38:54] }
func (p *ackPacket) iv() []byte         { return p[54:70] }
func (p *ackPacket) ciphertext() []byte { return p[70:118] }
func (p *ackPacket) signed() []byte     { return p[54:118] }

// msgPacket is a MSG, MSG-RSTOR or MSG-RSTOR-ACK with all its ciphertext.
//
//	0    6    magic, type 04, 05 or 06
//	6    4    length of the plaintext, in bytes
//	10   16   token, covered by no MAC
//	26   32   MAC over IV and ciphertext
//	58   16   IV
//	74   n    ciphertext: length rounded up to 16
type msgPacket []byte

func (p msgPacket) length() int        { return int(binary.BigEndian.Uint32(p[6:10])) }
func (p msgPacket) token() []byte      { return p[10:26] }
func (p msgPacket) mac() []byte        { return p[26:58] }
func (p msgPacket) iv() []byte         { return p[58:74] }
func (p msgPacket) ciphertext() []byte { return p[74:] }
func (p msgPacket) signed() []byte     { return p[58:] }

// rstorPacket is a MSG-RSTOR or MSG-RSTOR-ACK: a msgPacket of 32 bytes of plaintext.
type rstorPacket [msgHeaderSize + symmetricKey]byte

// putHeader writes magic and type.
func putHeader(p []byte, typ byte) {
	copy(p, magic[:])
	p[5] = typ
}

// padded returns the size of the ciphertext of n bytes of plaintext. The caller
// has bounded n, so the sum can't wrap.
func padded(n int) int { return (n + blockSize - 1) &^ (blockSize - 1) }

// errMalformed is returned for bytes that can't be the expected packet.
var errMalformed = errors.New("malformed packet")

// expectation is which packets may come in a state of a connection, and how
// long a MSG may be.
type expectation struct {
	state  string // for errors: what the connection waits for
	types  []byte
	minMsg int // least plaintext of a MSG, in bytes
	maxMsg int // largest
}

// frameSize implements framer. It believes nothing that the state does not
// allow: no length before a key is agreed, no type out of turn.
func (e *expectation) frameSize(prefix []byte) (int, error) {
	for i := range min(len(prefix), len(magic)) {
		if prefix[i] != magic[i] {
			return 0, fmt.Errorf("%w: no magic, while waiting for %s", errMalformed, e.state)
		}
	}
	if len(prefix) < headerSize {
		return 0, nil
	}
	typ := prefix[5]
	if bytes.IndexByte(e.types, typ) < 0 {
		return 0, fmt.Errorf("%w: type %02x, while waiting for %s", errMalformed, typ, e.state)
	}
	switch typ {
	case typeSYN:
		return len(synPacket{}), nil
	case typeSYNACK:
		return len(synAckPacket{}), nil
	case typeACK:
		return len(ackPacket{}), nil
	case typeACKACK, typeREQREHS:
		return headerSize, nil
	}
	if len(prefix) < headerSize+4 {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(prefix[6:10])
	least, most := e.minMsg, e.maxMsg
	if typ != typeMSG {
		least, most = symmetricKey, symmetricKey
	}
	if int64(length) < int64(least) {
		return 0, fmt.Errorf("%w: %s of %d bytes, want at least %d", errMalformed, typeName(typ), length, least)
	}
	if int64(length) > int64(most) {
		return 0, &TooLongError{Length: int64(length), Limit: most}
	}
	return msgHeaderSize + padded(int(length)), nil
}

func typeName(t byte) string {
	switch t {
	case typeSYN:
		return "SYN"
	case typeSYNACK:
		return "SYN-ACK"
	case typeACK:
		return "ACK"
	case typeMSG:
		return "MSG"
	case typeRSTOR:
		return "MSG-RSTOR"
	case typeRSTORACK:
		return "MSG-RSTOR-ACK"
	case typeREQREHS:
		return "REQ-REHS"
	case typeACKACK:
		return "ACK-ACK"
	}
	return fmt.Sprintf("packet of type %02x", t)
}

// TooLongError is returned for a message that is longer than the limit of the
// side that sends or receives it. Both figures are bytes of plaintext.
type TooLongError struct {
	Length int64
	Limit  int
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("message of %d bytes is over the limit of %d", e.Length, e.Limit)
}
