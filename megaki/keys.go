package megaki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"math/big"
)

const (
	keyBits       = 2048
	pinnedKeySize = rsaSize + 4
)

// ErrPassphrase says that a private key is encrypted and that the passphrase
// is missing or wrong.
var ErrPassphrase = errors.New("the private key is encrypted, and the passphrase is missing or wrong")

// GenerateKey makes an RSA-2048 key, for a server or for a client.
func GenerateKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }

// ParsePrivateKey reads a server's RSA-2048 private key from PEM: PKCS#1,
// plain or with legacy PEM encryption (RFC 1421; "Proc-Type: 4,ENCRYPTED"), or
// PKCS#8, plain or encrypted with PBES2 (RFC 8018, section 6.2). The
// passphrase counts only if the key is encrypted; ErrPassphrase tells that it
// does.
func ParsePrivateKey(data, passphrase []byte) (*rsa.PrivateKey, error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errors.New("no PEM private key found")
		}
		switch block.Type {
		case "RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			return parsePrivateBlock(block, passphrase)
		}
		data = rest
	}
}

func parsePrivateBlock(block *pem.Block, passphrase []byte) (*rsa.PrivateKey, error) {
	der := block.Bytes
	var err error
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY":
		der, err = decryptPBES2(der, passphrase)
	//lint:ignore SA1019 keys in the field are encrypted in this way
	case x509.IsEncryptedPEMBlock(block):
		if len(passphrase) == 0 {
			return nil, ErrPassphrase
		}
		//lint:ignore SA1019 keys in the field are encrypted in this way
		der, err = x509.DecryptPEMBlock(block, passphrase)
		if errors.Is(err, x509.IncorrectPasswordError) {
			err = ErrPassphrase
		}
	}
	if err != nil {
		return nil, err
	}
	var key *rsa.PrivateKey
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(der)
	} else {
		var any any
		if any, err = x509.ParsePKCS8PrivateKey(der); err == nil {
			var ok bool
			if key, ok = any.(*rsa.PrivateKey); !ok {
				return nil, fmt.Errorf("a %T, an RSA key is needed", any)
			}
		}
	}
	if err != nil {
		if len(passphrase) > 0 && !bytes.Equal(der, block.Bytes) {
			return nil, ErrPassphrase // one wrong passphrase in 256 decrypts to well-formed padding
		}
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	if key.N.BitLen() != keyBits {
		return nil, fmt.Errorf("an RSA key of %d bits, exactly %d are needed", key.N.BitLen(), keyBits)
	}
	return key, nil
}

// MarshalPrivateKey returns a private key as PKCS#8 in PEM.
func MarshalPrivateKey(key *rsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParsePublicKey reads the key that a client pins: PEM ("PUBLIC KEY" or "RSA
// PUBLIC KEY"), or the 260 bytes that libsazukari calls server.cert.
func ParsePublicKey(data []byte) (*rsa.PublicKey, error) {
	if len(data) == pinnedKeySize && !bytes.HasPrefix(data, []byte("-----BEGIN")) {
		return unpackKey(data)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("neither a PEM public key nor %d bytes of modulus and exponent", pinnedKeySize)
	}
	var key *rsa.PublicKey
	switch block.Type {
	case "PUBLIC KEY":
		any, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the public key: %w", err)
		}
		var ok bool
		if key, ok = any.(*rsa.PublicKey); !ok {
			return nil, fmt.Errorf("a %T, an RSA key is needed", any)
		}
	case "RSA PUBLIC KEY":
		var err error
		if key, err = x509.ParsePKCS1PublicKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("reading the public key: %w", err)
		}
	default:
		return nil, fmt.Errorf("PEM of type %q, a public key is needed", block.Type)
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// MarshalPublicKey returns a public key as SubjectPublicKeyInfo in PEM.
func MarshalPublicKey(key *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// PinnedKey returns a public key in the 260-byte form: modulus, exponent.
func PinnedKey(key *rsa.PublicKey) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	out := make([]byte, pinnedKeySize)
	key.N.FillBytes(out[:rsaSize])
	binary.BigEndian.PutUint32(out[rsaSize:], uint32(key.E))
	return out, nil
}

// unpackKey reads modulus and exponent: a pinned server key, or the client's
// key in a SYN.
func unpackKey(p []byte) (*rsa.PublicKey, error) {
	e := binary.BigEndian.Uint32(p[rsaSize:])
	if e > math.MaxInt32 {
		return nil, fmt.Errorf("an RSA exponent of %d, at most %d is taken", e, math.MaxInt32)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(p[:rsaSize]), E: int(e)}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// checkKey refuses keys that would give a secret away. The largest exponent is
// what Go takes.
func checkKey(key *rsa.PublicKey) error {
	switch {
	case key.N.BitLen() != keyBits:
		return fmt.Errorf("an RSA key of %d bits, exactly %d are needed", key.N.BitLen(), keyBits)
	case key.N.Bit(0) == 0:
		return errors.New("an RSA modulus that is even")
	case key.E < 3 || key.E > math.MaxInt32 || key.E&1 == 0:
		return fmt.Errorf("an RSA exponent of %d: an odd number from 3 to %d is needed", key.E, math.MaxInt32)
	}
	return nil
}
