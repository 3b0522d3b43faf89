package megaki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// KeyID is the fingerprint of a server key: SHA-256 of its 260-byte form. The
// zero value is that of no key.
type KeyID [sha256.Size]byte

// String returns the fingerprint in hex.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first 16 digits of String, by which people know a key.
func (id KeyID) Short() string { return id.String()[:16] }

// ParseKeyID reads a fingerprint in hex.
func ParseKeyID(text string) (id KeyID, err error) {
	p, err := hex.DecodeString(text)
	if err != nil || len(p) != len(id) {
		return id, fmt.Errorf("a fingerprint has %d hex digits", 2*len(id))
	}
	return KeyID(p), nil
}

// IDOf returns the fingerprint of a public key.
func IDOf(key *rsa.PublicKey) (KeyID, error) {
	p, err := PinnedKey(key)
	if err != nil {
		return KeyID{}, err
	}
	return sha256.Sum256(p), nil
}

// Handshake is what a Server reports of a handshake.
type Handshake struct {
	Key KeyID // the server key that the client pins
	// Retired is set if the key is one of RetiredKeys. The client got
	// CodeBlacklisted, and has no session.
	Retired bool
}

// serverKey is a private key of a server.
type serverKey struct {
	id      KeyID
	private crypto.Decrypter
	retired bool
	stats   keyStats
}

// newServerKeys checks the keys of a server.
func newServerKeys(keys, retired []crypto.Decrypter) ([]*serverKey, error) {
	if len(keys) == 0 {
		return nil, errors.New("megaki: a Server needs Keys and a Handler")
	}
	var made []*serverKey
	for i, list := range [][]crypto.Decrypter{keys, retired} {
		for _, key := range list {
			public, ok := key.Public().(*rsa.PublicKey)
			if !ok {
				return nil, fmt.Errorf("megaki: server key: %w: a %T, an RSA key is needed", errBadKey, key.Public())
			}
			id, err := IDOf(public)
			if err != nil {
				return nil, fmt.Errorf("megaki: server key: %w", err)
			}
			made = append(made, &serverKey{id: id, private: key, retired: i == 1})
		}
	}
	return made, nil
}

// onHandshake reports a handshake that used a key.
func (s *Server) onHandshake(key *serverKey) {
	if s.OnHandshake != nil {
		s.OnHandshake(Handshake{key.id, key.retired})
	}
}

// isRetired reports whether a key is one of RetiredKeys.
func (s *Server) isRetired(id KeyID) bool {
	for _, key := range s.keys {
		if key.retired && key.id == id {
			return true
		}
	}
	return false
}

// decryptFunc is decryptOAEP, or what a test puts in its place.
type decryptFunc func(key crypto.Decrypter, block []byte) ([]byte, error)

func decryptOAEP(key crypto.Decrypter, block []byte) ([]byte, error) {
	return key.Decrypt(rand.Reader, block, &rsa.OAEPOptions{Hash: crypto.SHA1})
}
