// Package cbc encrypts and decrypts large messages, AES-256 in CBC mode (NIST SP 800-38A),
// with the fastest library of the build.
//
// Each block of a ciphertext can be decrypted on its own. OpenSSL's libcrypto decrypts
// several at a time, which takes a fifth of the time of crypto/cipher. Encryption is one
// block after the other in any library: libcrypto takes three quarters of the time. It is
// used in programs that are built with the tag openssl, and with cgo, as in package
// privatekey.
package cbc

// Least is the number of bytes from which on libcrypto is worth its call.
const Least = 4 << 10
