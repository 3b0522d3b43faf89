//go:build openssl && cgo

package privatekey

/*
#cgo LDFLAGS: -lcrypto
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

// load reads a key in PKCS#1 form. It returns NULL on failure.
static EVP_PKEY *load(const unsigned char *der, long size) {
	EVP_PKEY *key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &der, size);
	ERR_clear_error();
	return key;
}

// decrypt decrypts a block with OAEP and SHA-1. It returns the length of the
// plaintext, -1 on failure. Errors are a thread's, so that they are cleared here.
static int decrypt(EVP_PKEY *key, const unsigned char *block, size_t size, unsigned char *out, size_t room) {
	int result = -1;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	if (ctx != NULL && EVP_PKEY_decrypt_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha1()) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha1()) > 0 &&
	    EVP_PKEY_decrypt(ctx, out, &room, block, size) > 0)
		result = (int)room;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return result;
}
*/
import "C"

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// key is an RSA key in libcrypto's memory. It is safe for use by several
// goroutines.
type key struct {
	public *rsa.PublicKey
	evp    *C.EVP_PKEY
}

// New returns a key's private operations. Its Decrypt takes *rsa.OAEPOptions with
// SHA-1 and no label.
func New(k *rsa.PrivateKey) (crypto.Decrypter, error) {
	der := x509.MarshalPKCS1PrivateKey(k)
	defer clear(der)
	evp := C.load((*C.uchar)(unsafe.Pointer(&der[0])), C.long(len(der)))
	if evp == nil {
		return nil, errors.New(Library() + " can't read the key")
	}
	made := &key{&k.PublicKey, evp}
	runtime.AddCleanup(made, func(evp *C.EVP_PKEY) { C.EVP_PKEY_free(evp) }, evp)
	return made, check(k, made)
}

// Library returns the name and the version of the library that is used.
func Library() string { return C.GoString(C.OpenSSL_version(C.OPENSSL_VERSION)) }

// Public implements crypto.Decrypter.
func (k *key) Public() crypto.PublicKey { return k.public }

// Decrypt implements crypto.Decrypter. Why a block doesn't decrypt isn't known to
// anybody, and doesn't show in its time.
func (k *key) Decrypt(_ io.Reader, block []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if o, ok := opts.(*rsa.OAEPOptions); !ok || o.Hash != crypto.SHA1 || o.MGFHash != 0 && o.MGFHash != crypto.SHA1 || len(o.Label) > 0 {
		return nil, fmt.Errorf("privatekey: only OAEP with SHA-1 and no label is supported, not %T", opts)
	}
	if len(block) == 0 {
		return nil, rsa.ErrDecryption
	}
	out := make([]byte, k.public.Size())
	n := C.decrypt(k.evp, (*C.uchar)(unsafe.Pointer(&block[0])), C.size_t(len(block)), (*C.uchar)(unsafe.Pointer(&out[0])), C.size_t(len(out)))
	runtime.KeepAlive(k)
	if n < 0 {
		return nil, rsa.ErrDecryption
	}
	return out[:n], nil
}
