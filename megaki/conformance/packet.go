package conformance

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
)

// The types of packets, and their sizes in bytes.
const (
	typeSYN      = 0x01
	typeSYNACK   = 0x02
	typeACK      = 0x03
	typeMSG      = 0x04
	typeRSTOR    = 0x05
	typeRSTORACK = 0x06
	typeREQREHS  = 0x07
	typeACKACK   = 0x08

	synSize     = 550
	ackSize     = 118
	msgHeadSize = 74
	rstorSize   = msgHeadSize + 32

	maxMessage = 1 << 20
)

var typeNames = map[byte]string{typeSYN: "SYN", typeSYNACK: "SYN-ACK", typeACK: "ACK", typeMSG: "MSG", typeRSTOR: "MSG-RSTOR",
	typeRSTORACK: "MSG-RSTOR-ACK", typeREQREHS: "REQ-REHS", typeACKACK: "ACK-ACK"}

// packetSize returns the size of the packet that begins with head, or 0 if it
// takes more bytes to know.
func packetSize(head []byte) (int, error) {
	if n := min(len(head), 5); !bytes.Equal(head[:n], []byte("MGK\xAA\xCA")[:n]) {
		return 0, fmt.Errorf("it begins with % x, which isn't the magic", head[:n])
	}
	if len(head) < 6 {
		return 0, nil
	}
	switch head[5] {
	case typeSYN:
		return synSize, nil
	case typeACK:
		return ackSize, nil
	case typeMSG, typeRSTOR:
		if len(head) < 10 {
			return 0, nil
		}
		n := binary.BigEndian.Uint32(head[6:])
		switch {
		case n > maxMessage:
			return 0, fmt.Errorf("its length is %d, over 1 MiB", n)
		case head[5] == typeRSTOR && n != 32:
			return 0, fmt.Errorf("a MSG-RSTOR of length %d, which always is 32", n)
		case n == 0:
			return 0, errors.New("a message of no bytes")
		}
		return msgHeadSize + padded(int(n)), nil
	}
	return 0, fmt.Errorf("its type is %02x, which no client sends", head[5])
}

func padded(n int) int { return (n + 15) &^ 15 }

func header(typ byte) []byte { return []byte{'M', 'G', 'K', 0xAA, 0xCA, typ} }

func random(n int) []byte {
	p := make([]byte, n)
	rand.Read(p)
	return p
}

// derive returns NOT a XOR b.
func derive(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range out {
		out[i] = ^a[i] ^ b[i]
	}
	return out
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func block(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // keys have 32 bytes
	}
	return b
}

func decrypt(key, iv, ciphertext []byte) []byte {
	out := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(block(key), iv).CryptBlocks(out, ciphertext)
	return out
}

// message makes a MSG, or another packet of its form.
func message(typ byte, key, token, plain []byte) []byte {
	iv := random(16)
	ciphertext := append(bytes.Clone(plain), random(padded(len(plain))-len(plain))...)
	cipher.NewCBCEncrypter(block(key), iv).CryptBlocks(ciphertext, ciphertext)
	signed := slices.Concat(iv, ciphertext)
	return slices.Concat(binary.BigEndian.AppendUint32(header(typ), uint32(len(plain))), token, mac(key, signed), signed)
}

// openMessage checks a MSG, or another packet of its form, and returns its
// plaintext and what pads it.
func openMessage(key, p []byte) (plain, padding []byte, err error) {
	if !hmac.Equal(p[26:58], mac(key, p[58:])) {
		return nil, nil, errors.New("its MAC is wrong")
	}
	all := decrypt(key, p[58:74], p[74:])
	n := binary.BigEndian.Uint32(p[6:])
	return all[:n], all[n:], nil
}

// synContent is what a SYN has.
type synContent struct {
	clientKey *rsa.PublicKey
	ephemeral []byte
}

// openSYN decrypts a SYN, and checks all that a server checks.
func openSYN(key *rsa.PrivateKey, p []byte) (*synContent, error) {
	first, err := rsa.DecryptOAEP(sha1.New(), nil, key, p[38:294], nil)
	if err != nil || len(first) != 214 {
		return nil, errors.New("block 0 isn't 214 bytes, encrypted to the server's key with OAEP (SHA-1)")
	}
	second, err := rsa.DecryptOAEP(sha1.New(), nil, key, p[294:550], nil)
	if err != nil || len(second) != 80 {
		return nil, errors.New("block 1 isn't 80 bytes, encrypted to the server's key with OAEP (SHA-1)")
	}
	for i := range second {
		second[i] ^= first[i]
	}
	plain := append(first, second...)
	if sum := sha256.Sum256(plain); !bytes.Equal(sum[:], p[6:38]) {
		return nil, errors.New("the hash isn't the SHA-256 of the plaintext before it was folded")
	}
	if !bytes.Equal(plain[292:], []byte{0x0A, 0xFF}) {
		return nil, fmt.Errorf("the version is % x, want 0a ff", plain[292:])
	}
	n, e := new(big.Int).SetBytes(plain[:256]), binary.BigEndian.Uint32(plain[256:])
	if n.BitLen() != 2048 || n.Bit(0) == 0 {
		return nil, fmt.Errorf("the modulus of the client's key isn't an odd number of 2048 bits")
	}
	if e < 3 || e&1 == 0 || e > math.MaxInt32 {
		return nil, fmt.Errorf("the exponent of the client's key is %d", e)
	}
	return &synContent{&rsa.PublicKey{N: n, E: int(e)}, plain[260:292]}, nil
}

// synACK makes a SYN-ACK with a token outside, and 48 bytes inside.
func synACK(to *synContent, token, inner []byte) ([]byte, error) {
	block, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, to.clientKey, inner, nil)
	if err != nil {
		return nil, err
	}
	return slices.Concat(header(typeSYNACK), mac(to.ephemeral, block), token, block), nil
}

// openACK returns client_symmetric.
func openACK(p, ephemeral, token, serverSymmetric []byte) ([]byte, error) {
	if !hmac.Equal(p[6:38], mac(ephemeral, p[54:])) {
		return nil, errors.New("its MAC isn't that of IV and ciphertext under the ephemeral key")
	}
	plain := decrypt(serverSymmetric, p[54:70], p[70:])
	if !bytes.Equal(p[38:54], token) || !bytes.Equal(plain[:16], token) {
		return nil, errors.New("its tokens, outside and inside, aren't both that of the SYN-ACK")
	}
	return plain[16:], nil
}
