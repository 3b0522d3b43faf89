//go:build !openssl || !cgo

package privatekey

import (
	"crypto"
	"crypto/rsa"
	"runtime"
)

// New returns a key's private operations. Its Decrypt takes *rsa.OAEPOptions.
func New(key *rsa.PrivateKey) (crypto.Decrypter, error) { return key, check(key, key) }

// Library returns the name and the version of the library that is used.
func Library() string { return "crypto/rsa of " + runtime.Version() }
