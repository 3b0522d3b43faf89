//go:build !openssl || !cgo

package cbc

// Encrypt encrypts whole blocks in place, if this build has a library for it. It reports
// false if it hasn't: p is as it was.
func Encrypt(key *[32]byte, iv, p []byte) bool { return false }

// Decrypt decrypts whole blocks in place, if this build has a library for it. It reports
// false if it hasn't: p is as it was.
func Decrypt(key *[32]byte, iv, p []byte) bool { return false }
