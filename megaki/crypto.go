package megaki

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"mkd/megaki/cbc"
)

// derive mixes two keys into a master key: NOT a XOR b.
func derive(a, b *[symmetricKey]byte) (out [symmetricKey]byte) {
	for i := range out {
		out[i] = ^a[i] ^ b[i]
	}
	return out
}

// encryptOAEP encrypts to a public key: OAEP with SHA-1 and MGF1-SHA-1, no
// label. dst has 256 bytes.
func encryptOAEP(dst []byte, key *rsa.PublicKey, plain []byte) error {
	block, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, plain, nil)
	if err == nil {
		copy(dst, block)
	}
	return err
}

// mac computes HMAC-SHA-256 under one key. It keeps its state, so that a packet
// builds none anew.
type mac struct {
	state hash.Hash
	sum   [macSize]byte
}

func newMAC(key *[symmetricKey]byte) *mac { return &mac{state: hmac.New(sha256.New, key[:])} }

// authenticate returns the MAC of p. It is valid until the next call.
func (m *mac) authenticate(p []byte) []byte {
	m.state.Reset()
	m.state.Write(p)
	return m.state.Sum(m.sum[:0])
}

// verify reports whether the packet's MAC is valid.
func (m *mac) verify(p msgPacket) bool {
	return hmac.Equal(p.mac(), m.authenticate(p.signed()))
}

// ivSetter is how the standard library's CBC modes can be used again.
type ivSetter interface {
	cipher.BlockMode
	SetIV([]byte)
}

// box seals and opens packets under one symmetric key. It keeps the states of
// HMAC and CBC, so that a message builds none anew. It is not safe for use by
// several goroutines.
type box struct {
	*mac
	key   *[symmetricKey]byte
	block cipher.Block
	enc   cipher.BlockMode
	dec   cipher.BlockMode

	random [ivSize + blockSize - 1]byte // IV and padding, drawn at once
}

// newBox makes a box of a key, which must not change while the box is used.
func newBox(key *[symmetricKey]byte) *box {
	block, err := aes.NewCipher(key[:])
	if err != nil { // impossible with a key of 32 bytes
		panic(err)
	}
	return &box{mac: newMAC(key), key: key, block: block}
}

func (b *box) encrypt(iv, p []byte) {
	if len(p) >= cbc.Least && cbc.Encrypt(b.key, iv, p) {
		return
	}
	if s, ok := b.enc.(ivSetter); ok {
		s.SetIV(iv)
	} else {
		b.enc = cipher.NewCBCEncrypter(b.block, iv)
	}
	b.enc.CryptBlocks(p, p)
}

func (b *box) decrypt(iv, p []byte) {
	if len(p) >= cbc.Least && cbc.Decrypt(b.key, iv, p) {
		return
	}
	if s, ok := b.dec.(ivSetter); ok {
		s.SetIV(iv)
	} else {
		b.dec = cipher.NewCBCDecrypter(b.block, iv)
	}
	b.dec.CryptBlocks(p, p)
}

// seal makes a packet in place: p has room for the header of a MSG, then the
// plaintext of length bytes, then room for the padding, up to 15 bytes.
func (b *box) seal(p msgPacket, typ byte, token []byte, length int) {
	putHeader(p, typ)
	binary.BigEndian.PutUint32(p[6:10], uint32(length))
	copy(p.token(), token)
	padding := p[msgHeaderSize+length:]
	rand.Read(b.random[:ivSize+len(padding)])
	copy(p.iv(), b.random[:ivSize])
	copy(padding, b.random[ivSize:])
	b.encrypt(p.iv(), p.ciphertext())
	copy(p.mac(), b.authenticate(p.signed()))
}

// open decrypts a verified packet in place, and returns its plaintext, which
// is a part of p.
func (b *box) open(p msgPacket) []byte {
	b.decrypt(p.iv(), p.ciphertext())
	n := p.length()
	return p[msgHeaderSize : msgHeaderSize+n : msgHeaderSize+n]
}
