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
)

// derive mixes two keys: NOT a XOR b. Master keys come of it.
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

func decryptOAEP(key *rsa.PrivateKey, block []byte) ([]byte, error) {
	return rsa.DecryptOAEP(sha1.New(), nil, key, block, nil)
}

// ivSetter is what the standard library's CBC modes offer to be used again.
type ivSetter interface {
	cipher.BlockMode
	SetIV([]byte)
}

// box seals and opens under one symmetric key. It keeps the states of HMAC
// and CBC, so that a message builds none anew. It isn't safe for use by
// several goroutines.
type box struct {
	block cipher.Block
	enc   cipher.BlockMode
	dec   cipher.BlockMode
	mac   hash.Hash
	sum   [macSize]byte

	random [ivSize + blockSize - 1]byte // IV and filling, drawn at once
}

func newBox(key *[symmetricKey]byte) *box {
	block, err := aes.NewCipher(key[:])
	if err != nil { // a key of 32 bytes is always right
		panic(err)
	}
	return &box{block: block, mac: hmac.New(sha256.New, key[:])}
}

func (b *box) encrypt(iv, p []byte) {
	if s, ok := b.enc.(ivSetter); ok {
		s.SetIV(iv)
	} else {
		b.enc = cipher.NewCBCEncrypter(b.block, iv)
	}
	b.enc.CryptBlocks(p, p)
}

func (b *box) decrypt(iv, p []byte) {
	if s, ok := b.dec.(ivSetter); ok {
		s.SetIV(iv)
	} else {
		b.dec = cipher.NewCBCDecrypter(b.block, iv)
	}
	b.dec.CryptBlocks(p, p)
}

// authenticate returns the MAC of p. It is valid until the next call.
func (b *box) authenticate(p []byte) []byte {
	b.mac.Reset()
	b.mac.Write(p)
	return b.mac.Sum(b.sum[:0])
}

// seal makes a packet in place: p has room for the header of a MSG, then the
// plaintext of length bytes, then room for the filling, up to 15 bytes.
func (b *box) seal(p msgPacket, typ byte, token []byte, length int) {
	putHeader(p, typ)
	binary.BigEndian.PutUint32(p[6:10], uint32(length))
	copy(p.token(), token)
	filling := p[msgHeaderSize+length:]
	rand.Read(b.random[:ivSize+len(filling)])
	copy(p.iv(), b.random[:ivSize])
	copy(filling, b.random[ivSize:])
	b.encrypt(p.iv(), p.ciphertext())
	copy(p.mac(), b.authenticate(p.signed()))
}

// verify tells whether the packet's MAC is right.
func (b *box) verify(p msgPacket) bool {
	return hmac.Equal(p.mac(), b.authenticate(p.signed()))
}

// open decrypts a verified packet in place, and returns its plaintext, which
// is a part of p.
func (b *box) open(p msgPacket) []byte {
	b.decrypt(p.iv(), p.ciphertext())
	n := p.length()
	return p[msgHeaderSize : msgHeaderSize+n : msgHeaderSize+n]
}
