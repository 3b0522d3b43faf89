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
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	keyBits       = 2048
	pinnedKeySize = rsaSize + 4
)

// convertKey is the remedy for an encrypted key that can't be read here.
const convertKey = "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW"

// ErrPassphrase is returned for a private key that is encrypted if the
// passphrase is missing or wrong.
var ErrPassphrase = errors.New("the private key is encrypted, and the passphrase is missing or wrong")

// GenerateKey makes an RSA-2048 key, for a server or for a client.
func GenerateKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, keyBits) }

// ParsePrivateKey reads a server's RSA-2048 private key from PEM: PKCS#1,
// plain or with legacy PEM encryption (RFC 1421; "Proc-Type: 4,ENCRYPTED"), or
// PKCS#8, plain or encrypted with PBES2 (RFC 8018, section 6.2). The
// passphrase matters only if the key is encrypted; then ErrPassphrase is the
// error of a missing or wrong one.
func ParsePrivateKey(data, passphrase []byte) (*rsa.PrivateKey, error) {
	block, err := findPEM(data, "RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	der := block.Bytes
	legacy := block.Headers["DEK-Info"] != "" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	encrypted := legacy || block.Type == "ENCRYPTED PRIVATE KEY"
	if legacy {
		der, err = decryptLegacy(block, passphrase)
	} else if encrypted {
		der, err = decryptPBES2(der, passphrase)
	}
	if err != nil {
		return nil, err
	}
	if encrypted && !looksLikeKey(der) {
		return nil, ErrPassphrase // one wrong passphrase in 256 decrypts to well-formed padding
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
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	if err := checkKey(&key.PublicKey); err != nil {
		return nil, err
	}
	return key, nil
}

// findPEM returns the first block of one of the types.
func findPEM(data []byte, types ...string) (*pem.Block, error) {
	found := ""
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if slices.Contains(types, block.Type) {
			return block, nil
		}
		found, data = block.Type, rest
	}
	wanted := `"` + strings.Join(types, `" or "`) + `"`
	if found != "" {
		return nil, fmt.Errorf("PEM of type %q, an RSA key of type %s is needed", found, wanted)
	}
	return nil, fmt.Errorf("no PEM of type %s found", wanted)
}

// decryptLegacy undoes the encryption of RFC 1423 as OpenSSL does it.
func decryptLegacy(block *pem.Block, passphrase []byte) ([]byte, error) {
	// Names in lower case and spaces occur; OpenSSL accepts them.
	name, iv, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	name = strings.ToUpper(strings.TrimSpace(name))
	switch name {
	case "DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC":
	default:
		return nil, fmt.Errorf("the private key is encrypted with %q, which isn't supported; %s", name, convertKey)
	}
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	block.Headers["DEK-Info"] = name + "," + strings.TrimSpace(iv)
	//lint:ignore SA1019 keys in the field are encrypted in this way
	der, err := x509.DecryptPEMBlock(block, passphrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("decrypting the private key: %w", err)
	}
	return der, nil
}

// looksLikeKey distinguishes a decrypted key from the noise that a wrong
// passphrase makes: in PKCS#1 and PKCS#8 alike it is one sequence that begins
// with the version.
func looksLikeKey(der []byte) bool {
	input := cryptobyte.String(der)
	var key cryptobyte.String
	var version int
	return input.ReadASN1(&key, asn1.SEQUENCE) && input.Empty() && key.ReadASN1Integer(&version)
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
// PUBLIC KEY"), or the 260 bytes that libsazukari calls server.cert. It refuses
// a file that has a private key as well: that must not be where a client is.
func ParsePublicKey(data []byte) (*rsa.PublicKey, error) {
	if len(data) == pinnedKeySize && !bytes.HasPrefix(data, []byte("-----BEGIN")) {
		return unpackKey(data)
	}
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		return nil, errors.New("it has a private key, which must stay with the server; a client needs the public key alone")
	}
	block, err := findPEM(data, "PUBLIC KEY", "RSA PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("neither a PEM public key nor the %d bytes of modulus and exponent: %w", pinnedKeySize, err)
	}
	var key *rsa.PublicKey
	if block.Type == "RSA PUBLIC KEY" {
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	} else {
		var any any
		if any, err = x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			var ok bool
			if key, ok = any.(*rsa.PublicKey); !ok {
				return nil, fmt.Errorf("a %T, an RSA key is needed", any)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
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
		return nil, fmt.Errorf("%w: exponent %d, want at most %d", errBadKey, e, math.MaxInt32)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(p[:rsaSize]), E: int(e)}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// errBadKey is wrapped by the errors of keys that are refused.
var errBadKey = errors.New("unusable RSA key")

// checkKey refuses keys that would disclose a secret. The largest exponent is
// the largest that Go supports.
func checkKey(key *rsa.PublicKey) error {
	switch {
	case key.N == nil:
		return fmt.Errorf("%w: no modulus", errBadKey)
	case key.N.BitLen() != keyBits:
		return fmt.Errorf("%w: %d bits, want exactly %d", errBadKey, key.N.BitLen(), keyBits)
	case key.N.Bit(0) == 0:
		return fmt.Errorf("%w: even modulus", errBadKey)
	case key.E < 3 || key.E > math.MaxInt32 || key.E&1 == 0:
		return fmt.Errorf("%w: exponent %d, want an odd number from 3 to %d", errBadKey, key.E, math.MaxInt32)
	}
	return nil
}
