package megaki

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	encoding_asn1 "encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxIterations bounds the work that a key file may cause. OpenSSL writes 2,048;
// careful people write some millions.
const maxIterations = 10_000_000

type oid = encoding_asn1.ObjectIdentifier

var errPBES2 = errors.New("the private key isn't encrypted in a supported way (PBES2 with PBKDF2); " + convertKey)

// pbes2 is an EncryptedPrivateKeyInfo (RFC 5958, section 3) that is encrypted
// with PBES2 and PBKDF2 (RFC 8018, appendix A.4).
type pbes2 struct {
	newCipher  func(key []byte) (cipher.Block, error)
	blockSize  int // bytes
	keySize    int // bytes
	iv         []byte
	prf        func() hash.Hash
	salt       []byte
	iterations int
	ciphertext []byte
}

func decryptPBES2(der, passphrase []byte) ([]byte, error) {
	k, err := readPBES2(der)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	return k.decrypt(passphrase)
}

func readPBES2(der []byte) (*pbes2, error) {
	var outer, algorithm, ciphertext cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!outer.ReadASN1(&ciphertext, asn1.OCTET_STRING) || !outer.Empty() {
		return nil, errPBES2
	}
	var scheme oid
	var params, kdf, enc cryptobyte.String
	if !algorithm.ReadASN1ObjectIdentifier(&scheme) || !scheme.Equal(oid{1, 2, 840, 113549, 1, 5, 13}) ||
		!algorithm.ReadASN1(&params, asn1.SEQUENCE) ||
		!params.ReadASN1(&kdf, asn1.SEQUENCE) ||
		!params.ReadASN1(&enc, asn1.SEQUENCE) {
		return nil, errPBES2
	}
	k := &pbes2{ciphertext: ciphertext}
	if err := k.readCipher(enc); err != nil {
		return nil, err
	}
	if err := k.readPBKDF2(kdf); err != nil {
		return nil, err
	}
	if len(k.iv) != k.blockSize || len(ciphertext) == 0 || len(ciphertext)%k.blockSize != 0 {
		return nil, errors.New("the encrypted private key is cut short or damaged")
	}
	return k, nil
}

func (k *pbes2) decrypt(passphrase []byte) ([]byte, error) {
	key, err := pbkdf2.Key(k.prf, string(passphrase), k.salt, k.iterations, k.keySize)
	if err != nil {
		return nil, fmt.Errorf("decrypting the private key: %w", err)
	}
	block, err := k.newCipher(key)
	if err != nil {
		return nil, fmt.Errorf("decrypting the private key: %w", err)
	}
	plain := make([]byte, len(k.ciphertext))
	cipher.NewCBCDecrypter(block, k.iv).CryptBlocks(plain, k.ciphertext)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > k.blockSize {
		return nil, ErrPassphrase
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassphrase
		}
	}
	return plain[:len(plain)-pad], nil
}

func (k *pbes2) readCipher(s cryptobyte.String) error {
	var id oid
	if !s.ReadASN1ObjectIdentifier(&id) || !s.ReadASN1Bytes(&k.iv, asn1.OCTET_STRING) {
		return errPBES2
	}
	k.newCipher, k.blockSize = aes.NewCipher, aes.BlockSize
	switch id.String() {
	case "2.16.840.1.101.3.4.1.2":
		k.keySize = 16
	case "2.16.840.1.101.3.4.1.22":
		k.keySize = 24
	case "2.16.840.1.101.3.4.1.42":
		k.keySize = 32
	case "1.2.840.113549.3.7":
		k.newCipher, k.blockSize, k.keySize = des.NewTripleDESCipher, des.BlockSize, 24
	default:
		return fmt.Errorf("cipher %v: %w", id, errPBES2)
	}
	return nil
}

func (k *pbes2) readPBKDF2(s cryptobyte.String) error {
	var id oid
	var params cryptobyte.String
	if !s.ReadASN1ObjectIdentifier(&id) || !id.Equal(oid{1, 2, 840, 113549, 1, 5, 12}) ||
		!s.ReadASN1(&params, asn1.SEQUENCE) ||
		!params.ReadASN1Bytes(&k.salt, asn1.OCTET_STRING) ||
		!params.ReadASN1Integer(&k.iterations) {
		return errPBES2
	}
	if k.iterations < 1 || k.iterations > maxIterations {
		return fmt.Errorf("the private key's encryption asks for %d iterations, want 1 to %d; %s", k.iterations, maxIterations, convertKey)
	}
	if params.PeekASN1Tag(asn1.INTEGER) {
		var n int
		if !params.ReadASN1Integer(&n) || n != k.keySize {
			return errPBES2
		}
	}
	k.prf = sha1.New // the default of RFC 8018
	if params.Empty() {
		return nil
	}
	var prf cryptobyte.String
	if !params.ReadASN1(&prf, asn1.SEQUENCE) || !prf.ReadASN1ObjectIdentifier(&id) || !params.Empty() {
		return errPBES2
	}
	switch id.String() {
	case "1.2.840.113549.2.7":
	case "1.2.840.113549.2.8":
		k.prf = sha256.New224
	case "1.2.840.113549.2.9":
		k.prf = sha256.New
	case "1.2.840.113549.2.10":
		k.prf = sha512.New384
	case "1.2.840.113549.2.11":
		k.prf = sha512.New
	case "1.2.840.113549.2.12":
		k.prf = sha512.New512_224
	case "1.2.840.113549.2.13":
		k.prf = sha512.New512_256
	default:
		return fmt.Errorf("pseudo-random function %v: %w", id, errPBES2)
	}
	return nil
}
