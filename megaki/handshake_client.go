package megaki

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

var (
	expectSYNACK   = expectation{state: "SYN-ACK", types: []byte{typeSYNACK}}
	expectACKACK   = expectation{state: "ACK-ACK", types: []byte{typeACKACK}}
	expectRSTORACK = expectation{state: "MSG-RSTOR-ACK or REQ-REHS", types: []byte{typeRSTORACK, typeREQREHS}}
)

// clientHandshake brings a connection to a session, on the client's side.
type clientHandshake struct {
	wire *wire
	cfg  *Config
}

// run resumes the Config's session or, if there is none or the server does not
// know it, makes a new one. It reports whether it resumed one.
func (h *clientHandshake) run() (s Session, resumed bool, err error) {
	if h.cfg.Session != nil {
		s, resumed, err = h.resume(h.cfg.Session)
		if err != nil {
			return s, false, &resumeError{err}
		}
		if resumed {
			return s, true, nil
		}
	}
	key, err := h.clientKey()
	if err != nil {
		return s, false, fmt.Errorf("making the client key: %w", err)
	}
	s, err = h.handshake(key)
	return s, false, err
}

func (h *clientHandshake) clientKey() (*rsa.PrivateKey, error) {
	switch {
	case h.cfg.ClientKey != nil:
		return h.cfg.ClientKey, nil
	case h.cfg.makeKey != nil:
		return h.cfg.makeKey()
	}
	return GenerateKey()
}

// handshake makes a new session.
func (h *clientHandshake) handshake(clientKey *rsa.PrivateKey) (s Session, err error) {
	var plain synPlain
	defer clear(plain[:])
	clientKey.N.FillBytes(plain.modulus())
	binary.BigEndian.PutUint32(plain.exponent(), uint32(clientKey.E))
	rand.Read(plain.ephemeral())
	copy(plain.version(), version[:])
	syn, err := sealSYN(&plain, h.cfg.ServerKey)
	if err != nil {
		return s, err
	}
	if err := h.wire.write(syn[:], 0); err != nil {
		return s, fmt.Errorf("writing SYN: %w", err)
	}
	p, err := h.wire.packet(&expectSYNACK)
	if err != nil {
		return s, fmt.Errorf("waiting for SYN-ACK: %w", orClosed(err,
			"instead: either it doesn't have the private key of the pinned one (compare the keys), or it refuses handshakes from here for now (see its log)"))
	}
	secret, err := openSYNACK((*synAckPacket)(p), plain.ephemeral(), clientKey)
	if err != nil {
		return s, err
	}
	defer clear(secret[:])
	ack, half := sealACK(secret, plain.ephemeral())
	defer clear(half[:])
	if err := h.wire.write(ack[:], 0); err != nil {
		return s, fmt.Errorf("writing ACK: %w", err)
	}
	if _, err := h.wire.packet(&expectACKACK); err != nil {
		return s, fmt.Errorf("waiting for ACK-ACK: %w", orClosed(err, "instead"))
	}
	s.Token = Token(secret.token())
	s.Key = derive((*[symmetricKey]byte)(secret.symmetric()), half)
	return s, nil
}

// sealSYN encrypts a SYN to the server's key.
func sealSYN(plain *synPlain, serverKey *rsa.PublicKey) (*synPacket, error) {
	p := new(synPacket)
	putHeader(p[:], typeSYN)
	sum := sha256.Sum256(plain[:])
	copy(p.hash(), sum[:])
	folded := *plain
	folded.fold()
	if err := encryptOAEP(p.block0(), serverKey, folded[:oaepMax]); err != nil {
		return nil, fmt.Errorf("encrypting to the server's key: %w", err)
	}
	if err := encryptOAEP(p.block1(), serverKey, folded[oaepMax:]); err != nil {
		return nil, fmt.Errorf("encrypting to the server's key: %w", err)
	}
	return p, nil
}

// openSYNACK checks a SYN-ACK and returns the secret in it, or the
// *ServerError in it, of either form. It believes nothing before the MAC.
func openSYNACK(p *synAckPacket, ephemeral []byte, clientKey *rsa.PrivateKey) (*secretPlain, error) {
	if !hmac.Equal(p.mac(), newBox((*[symmetricKey]byte)(ephemeral)).authenticate(p.block())) {
		return nil, fmt.Errorf("SYN-ACK: %w: wrong MAC: the server doesn't have the private key of the pinned one (compare the keys), or someone on the path changed the packet", errCrypto)
	}
	inner, err := decryptOAEP(clientKey, p.block())
	if err != nil || len(inner) != len(secretPlain{}) {
		return nil, fmt.Errorf("SYN-ACK: %w: it isn't encrypted to the client's key", errCrypto)
	}
	secret := (*secretPlain)(inner)
	if isErrorMark(secret.token()) {
		return nil, &ServerError{Code(binary.BigEndian.Uint16(secret.symmetric()))}
	}
	if isErrorMark(p.token()) {
		return nil, &ServerError{Code(binary.BigEndian.Uint16(secret.token()))}
	}
	if subtle.ConstantTimeCompare(p.token(), secret.token()) != 1 {
		return nil, fmt.Errorf("SYN-ACK: %w: two tokens: someone on the path changed the packet", errCrypto)
	}
	return secret, nil
}

func isErrorMark(token []byte) bool {
	for _, b := range token {
		if b != errorMark {
			return false
		}
	}
	return true
}

// sealACK makes the ACK and the client's half of the master key.
func sealACK(secret *secretPlain, ephemeral []byte) (*ackPacket, *[symmetricKey]byte) {
	p := new(ackPacket)
	putHeader(p[:], typeACK)
	copy(p.token(), secret.token())
	half := new([symmetricKey]byte)
	rand.Read(half[:])
	copy(p.ciphertext(), secret.token())
	copy(p.ciphertext()[tokenSize:], half[:])
	rand.Read(p.iv())
	newBox((*[symmetricKey]byte)(secret.symmetric())).encrypt(p.iv(), p.ciphertext())
	copy(p.mac(), newBox((*[symmetricKey]byte)(ephemeral)).authenticate(p.signed()))
	return p, half
}

// resumeError is the error of a connection that was to resume a session.
type resumeError struct{ error }

func (e *resumeError) Unwrap() error { return e.error }

// resume resumes a session. It reports false if the server asks for a handshake.
func (h *clientHandshake) resume(old *Session) (s Session, resumed bool, err error) {
	var p rstorPacket
	augment := new([symmetricKey]byte)
	rand.Read(augment[:])
	copy(p[msgHeaderSize:], augment[:])
	newBox(&old.Key).seal(p[:], typeRSTOR, old.Token[:], symmetricKey)
	if err := h.wire.write(p[:], 0); err != nil {
		return s, false, fmt.Errorf("writing MSG-RSTOR: %w", err)
	}
	response, err := h.wire.packet(&expectRSTORACK)
	if err != nil {
		return s, false, fmt.Errorf("waiting for MSG-RSTOR-ACK: %w", orClosed(err, "instead"))
	}
	if response[5] == typeREQREHS {
		return s, false, nil
	}
	key, err := openRSTORACK(response, &old.Key, augment)
	if err != nil {
		return s, false, err
	}
	return Session{Token: old.Token, Key: key}, true, nil
}

// openRSTORACK checks a MSG-RSTOR-ACK and returns the new master key.
func openRSTORACK(p msgPacket, old, clientAugment *[symmetricKey]byte) (key [symmetricKey]byte, err error) {
	mid := derive(old, clientAugment)
	b := newBox(&mid)
	if !b.verify(p) {
		return key, fmt.Errorf("MSG-RSTOR-ACK: %w: wrong MAC", errCrypto)
	}
	serverAugment := [symmetricKey]byte(b.open(p))
	return derive(&mid, &serverAugment), nil
}
