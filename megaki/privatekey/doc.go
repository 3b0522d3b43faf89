// Package privatekey does the private operations of RSA keys, which are nearly
// all that a handshake costs a server, with the fastest library of the build.
//
// That is crypto/rsa. Built with the tag openssl, and with cgo, it is OpenSSL's
// libcrypto (1.1.1 or later), which takes about a third of the time:
//
//	go build -tags openssl,netgo,osusergo ./cmd/mkd
//
// netgo and osusergo keep the rest of the program from needing C.
package privatekey

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"
)

// check has two implementations of a key decrypt the same ciphertext: a library
// that computes wrong results must not serve.
func check(key *rsa.PrivateKey, d crypto.Decrypter) error {
	want := make([]byte, 32)
	rand.Read(want)
	block, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &key.PublicKey, want, nil)
	if err != nil {
		return err
	}
	got, err := d.Decrypt(rand.Reader, block, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil {
		return fmt.Errorf("%s can't use the key: %w", Library(), err)
	}
	if !bytes.Equal(got, want) {
		return errors.New(Library() + " computes wrong results")
	}
	return nil
}
