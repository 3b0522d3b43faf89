//go:build openssl && cgo

package cbc

/*
#cgo LDFLAGS: -lcrypto
#include <openssl/err.h>
#include <openssl/evp.h>

// crypt_blocks encrypts or decrypts whole blocks in place. It returns 0 if nothing was done.
static int crypt_blocks(int encrypt, const unsigned char *key, const unsigned char *iv, unsigned char *p, int size) {
	int n = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx != NULL && EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv, encrypt) > 0 && EVP_CIPHER_CTX_set_padding(ctx, 0) > 0)
		EVP_CipherUpdate(ctx, p, &n, p, size);
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return n;
}
*/
import "C"

import (
	"math"
	"unsafe"
)

// Encrypt encrypts whole blocks in place, if this build has a library for it. It reports
// false if it hasn't: p is as it was.
func Encrypt(key *[32]byte, iv, p []byte) bool { return crypt(1, key, iv, p) }

// Decrypt decrypts whole blocks in place, if this build has a library for it. It reports
// false if it hasn't: p is as it was.
func Decrypt(key *[32]byte, iv, p []byte) bool { return crypt(0, key, iv, p) }

func crypt(encrypt C.int, key *[32]byte, iv, p []byte) bool {
	if len(iv) != 16 || len(p) == 0 || len(p)%16 != 0 || len(p) > math.MaxInt32 {
		return false
	}
	bytes := func(b *byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(b)) }
	return C.crypt_blocks(encrypt, bytes(&key[0]), bytes(&iv[0]), bytes(&p[0]), C.int(len(p))) != 0
}
