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

// maxIterations bounds the work that a key file may ask of us. OpenSSL writes
// 2,048; careful people write some millions.
const maxIterations = 10_000_000

type oid = encoding_asn1.ObjectIdentifier

var errPBES2 = errors.New("not an encrypted PKCS#8 key that is understood (PBES2 with PBKDF2)")

// decryptPBES2 decrypts an EncryptedPrivateKeyInfo (RFC 5958, section 3) that
// is encrypted with PBES2 and PBKDF2 (RFC 8018, appendix A.4).
func decryptPBES2(der, passphrase []byte) ([]byte, error) {
	var outer, algorithm, ciphertext cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!outer.ReadASN1(&ciphertext, asn1.OCTET_STRING) {
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
	newCipher, keySize, iv, err := readCipher(enc)
	if err != nil {
		return nil, err
	}
	prf, salt, iterations, err := readPBKDF2(kdf, keySize)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	key, err := pbkdf2.Key(prf, string(passphrase), salt, iterations, keySize)
	if err != nil {
		return nil, err
	}
	block, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() || len(ciphertext) == 0 || len(ciphertext)%block.BlockSize() != 0 {
		return nil, errPBES2
	}
	plain := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, ciphertext)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > block.BlockSize() {
		return nil, ErrPassphrase
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassphrase
		}
	}
	return plain[:len(plain)-pad], nil
}

func readCipher(s cryptobyte.String) (newCipher func([]byte) (cipher.Block, error), keySize int, iv []byte, err error) {
	var id oid
	if !s.ReadASN1ObjectIdentifier(&id) || !s.ReadASN1Bytes(&iv, asn1.OCTET_STRING) {
		return nil, 0, nil, errPBES2
	}
	switch id.String() {
	case "2.16.840.1.101.3.4.1.2":
		return aes.NewCipher, 16, iv, nil
	case "2.16.840.1.101.3.4.1.22":
		return aes.NewCipher, 24, iv, nil
	case "2.16.840.1.101.3.4.1.42":
		return aes.NewCipher, 32, iv, nil
	case "1.2.840.113549.3.7":
		return des.NewTripleDESCipher, 24, iv, nil
	}
	return nil, 0, nil, fmt.Errorf("%w: cipher %v", errPBES2, id)
}

func readPBKDF2(s cryptobyte.String, keySize int) (prf func() hash.Hash, salt []byte, iterations int, err error) {
	var id oid
	var params cryptobyte.String
	if !s.ReadASN1ObjectIdentifier(&id) || !id.Equal(oid{1, 2, 840, 113549, 1, 5, 12}) ||
		!s.ReadASN1(&params, asn1.SEQUENCE) ||
		!params.ReadASN1Bytes(&salt, asn1.OCTET_STRING) ||
		!params.ReadASN1Integer(&iterations) {
		return nil, nil, 0, errPBES2
	}
	if iterations < 1 || iterations > maxIterations {
		return nil, nil, 0, fmt.Errorf("%w: %d iterations, at most %d are done", errPBES2, iterations, maxIterations)
	}
	if params.PeekASN1Tag(asn1.INTEGER) {
		var n int
		if !params.ReadASN1Integer(&n) || n != keySize {
			return nil, nil, 0, errPBES2
		}
	}
	if params.Empty() {
		return sha1.New, salt, iterations, nil // the default of RFC 8018
	}
	var prfID cryptobyte.String
	if !params.ReadASN1(&prfID, asn1.SEQUENCE) || !prfID.ReadASN1ObjectIdentifier(&id) {
		return nil, nil, 0, errPBES2
	}
	switch id.String() {
	case "1.2.840.113549.2.7":
		return sha1.New, salt, iterations, nil
	case "1.2.840.113549.2.8":
		return sha256.New224, salt, iterations, nil
	case "1.2.840.113549.2.9":
		return sha256.New, salt, iterations, nil
	case "1.2.840.113549.2.10":
		return sha512.New384, salt, iterations, nil
	case "1.2.840.113549.2.11":
		return sha512.New, salt, iterations, nil
	}
	return nil, nil, 0, fmt.Errorf("%w: pseudo-random function %v", errPBES2, id)
}
