package sessions

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"mkd/megaki"
)

// MinSecret is the least size of a secret, in bytes.
const MinSecret = 32

// The layout of a sealed record: version (1), revision (8), nonce (12), ciphertext,
// tag (16). Version, revision and token are associated data.
const (
	sealVersion = 1
	headSize    = 1 + 8
	nonceSize   = 12
	tagSize     = 16

	// MaxSealed is the size of the largest sealed record, in bytes.
	MaxSealed = headSize + nonceSize + maxRecord + tagSize
)

// ErrSealed is returned for a record that isn't sealed with one of the secrets, not
// for its token, or not whole.
var ErrSealed = errors.New("the record is sealed with none of the secrets, or for another session")

// Sealer encrypts records with AES-256-GCM. Each token has a key of its own, derived
// from the secret with HKDF, so that no key seals more than a few records. It is safe
// for use by several goroutines.
type Sealer struct {
	secrets [][]byte // the pseudorandom keys of HKDF; the first one seals
}

// NewSealer returns a Sealer. secret seals and opens; the old secrets open alone. Each
// has MinSecret bytes at least, which are random.
func NewSealer(secret []byte, old ...[]byte) (*Sealer, error) {
	s := new(Sealer)
	for i, material := range append([][]byte{secret}, old...) {
		if len(material) < MinSecret {
			return nil, fmt.Errorf("secret %d has %d bytes; want %d random ones at least", i, len(material), MinSecret)
		}
		key, err := hkdf.Extract(sha256.New, material, nil)
		if err != nil {
			return nil, err
		}
		s.secrets = append(s.secrets, key)
	}
	return s, nil
}

// ClientID stands for the network of a client, see megaki.Record.
type ClientID [8]byte

// Client returns the id of a client, the zero value for the zero Prefix. It shows the
// network to nobody who hasn't the secret.
func (s *Sealer) Client(p netip.Prefix) (id ClientID) {
	if !p.IsValid() {
		return id
	}
	key, err := hkdf.Expand(sha256.New, s.secrets[0], "mkd session client "+p.String(), len(id))
	if err != nil { // impossible, as with cipher
		panic(err)
	}
	copy(id[:], key)
	return id
}

// cipher returns the cipher for the records of a token.
func (s *Sealer) cipher(secret []byte, t megaki.Token) cipher.AEAD {
	key, err := hkdf.Expand(sha256.New, secret, "mkd session record "+string(t[:]), keySize)
	if err != nil { // impossible with a key of 32 bytes
		panic(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// Seal returns the sealed record of a session. It gives the record a new revision,
// which Revision returns.
func (s *Sealer) Seal(t megaki.Token, r *megaki.Record) []byte {
	p := make([]byte, headSize+nonceSize, MaxSealed)
	p[0] = sealVersion
	rand.Read(p[1:])
	return s.cipher(s.secrets[0], t).Seal(p, p[headSize:], appendRecord(nil, r), associated(p, t))
}

// Open returns the record of a session that Seal sealed, with its revision. The error
// is ErrSealed.
func (s *Sealer) Open(t megaki.Token, sealed []byte) (*megaki.Record, error) {
	if len(sealed) < headSize+nonceSize+tagSize || len(sealed) > MaxSealed || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	nonce, ciphertext := sealed[headSize:headSize+nonceSize], sealed[headSize+nonceSize:]
	for _, secret := range s.secrets {
		plain, err := s.cipher(secret, t).Open(nil, nonce, ciphertext, associated(sealed, t))
		if err != nil {
			continue
		}
		r, err := parseRecord(plain)
		if err != nil {
			return nil, ErrSealed
		}
		r.Revision = RevisionNumber(Revision(sealed))
		return r, nil
	}
	return nil, ErrSealed
}

func associated(sealed []byte, t megaki.Token) []byte {
	return append(sealed[:headSize:headSize], t[:]...)
}

// Revision returns the 8 bytes of a sealed record that no two records share, nil if
// the record is too short.
func Revision(sealed []byte) []byte {
	if len(sealed) < headSize {
		return nil
	}
	return sealed[1:headSize]
}

// RevisionNumber returns the Revision of a Record that has these 8 bytes.
func RevisionNumber(revision []byte) uint64 { return binary.BigEndian.Uint64(revision) }

// RevisionBytes returns the bytes of a Record's Revision.
func RevisionBytes(revision uint64) []byte { return binary.BigEndian.AppendUint64(nil, revision) }
