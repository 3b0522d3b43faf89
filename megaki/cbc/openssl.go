//go:build openssl && cgo

package cbc

/*
#cgo LDFLAGS: -lcrypto
#include <openssl/err.h>
#include <openssl/evp.h>

// decrypt decrypts whole blocks in place. It returns 0 if nothing was done.
static int decrypt(const unsigned char *key, const unsigned char *iv, unsigned char *p, int size) {
	int n = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv) > 0 && EVP_CIPHER_CTX_set_padding(ctx, 0) > 0)
		EVP_DecryptUpdate(ctx, p, &n, p, size);
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

// Decrypt decrypts whole blocks in place, if this build has a library for it. It reports
// false if it hasn't: p is as it was.
func Decrypt(key *[32]byte, iv, p []byte) bool {
	if len(iv) != 16 || len(p) == 0 || len(p)%16 != 0 || len(p) > math.MaxInt32 {
		return false
	}
	bytes := func(b *byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(b)) }
	return C.decrypt(bytes(&key[0]), bytes(&iv[0]), bytes(&p[0]), C.int(len(p))) != 0
}
