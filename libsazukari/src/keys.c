#include "keys.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static int is_odd(byte last)
{
	return (last & 1) != 0;
}

/* Returns what is wrong with a public key, or NULL. */
static const char *key_fault(const szkr_srvkey_t *key)
{
	const byte *e = key->exponent;
	if (key->modulus[0] < 0x80)
		return "the key's modulus doesn't have 2048 bits";
	if (!is_odd(key->modulus[255]))
		return "the key's modulus is even";
	if (!is_odd(e[3]) || e[0] > 0x7F || (e[0] == 0 && e[1] == 0 && e[2] == 0 && e[3] == 1))
		return "the key's exponent isn't an odd number from 3 to 2147483647";
	return NULL;
}

/*
 * The DER of an RSA key of 2048 bits, as a SubjectPublicKeyInfo. The exponent's
 * INTEGER follows the modulus, of 1 to 4 bytes; the lengths that include it are
 * filled in.
 */
enum { spki_before = 33, spki_max = spki_before + 256 + 2 + 4 };
static const byte spki_head[spki_before] = {
	0x30, 0x82, 0, 0,                                                                           /* SEQUENCE */
	0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,   /* rsaEncryption */
	0x03, 0x82, 0, 0, 0x00,                                                                     /* BIT STRING */
	0x30, 0x82, 0, 0,                                                                           /* SEQUENCE */
	0x02, 0x82, 0x01, 0x01, 0x00,                                                               /* INTEGER */
};

static void put16(byte *p, size_t n)
{
	p[0] = (byte)(n >> 8);
	p[1] = (byte)n;
}

static size_t to_spki(byte der[spki_max], const szkr_srvkey_t *key)
{
	size_t zeros = 0;
	memcpy(der, spki_head, spki_before);
	memcpy(der + spki_before, key->modulus, sizeof key->modulus);
	while (zeros < 3 && key->exponent[zeros] == 0 && key->exponent[zeros + 1] < 0x80)
		zeros++;
	size_t n = sizeof key->exponent - zeros;
	byte *e = der + spki_before + sizeof key->modulus;
	e[0] = 0x02;
	e[1] = (byte)n;
	memcpy(e + 2, key->exponent + zeros, n);
	size_t size = (size_t)(e + 2 + n - der);
	put16(der + 2, size - 4);
	put16(der + 21, size - 23);
	put16(der + 26, size - 28);
	return size;
}

EVP_PKEY *szkri_load_key(const szkr_srvkey_t *key, const char **reason)
{
	*reason = key_fault(key);
	if (*reason != NULL)
		return NULL;
	byte der[spki_max];
	const byte *p = der;
	size_t size = to_spki(der, key);
	EVP_PKEY *loaded = d2i_PUBKEY(NULL, &p, (long)size);
	if (loaded == NULL)
		*reason = "the crypto library doesn't take the key";
	return loaded;
}

/* Reads an RSAPublicKey in DER: SEQUENCE { modulus, exponent }, nothing else. */
static int from_rsa_public_key(const byte *der, size_t size, szkr_srvkey_t *out)
{
	static const byte modulus_head[5] = {0x02, 0x82, 0x01, 0x01, 0x00};
	const size_t before = 4 + sizeof modulus_head, exponent_at = before + 256;
	if (size < exponent_at + 2 || der[0] != 0x30 || der[1] != 0x82 || (size_t)(der[2] << 8 | der[3]) != size - 4 ||
	    memcmp(der + 4, modulus_head, sizeof modulus_head) != 0 || der[exponent_at] != 0x02)
		return -1;
	const byte *e = der + exponent_at + 2;
	size_t n = der[exponent_at + 1];
	if (n < 1 || n > 4 || exponent_at + 2 + n != size || e[0] > 0x7F)
		return -1;
	memset(out, 0, sizeof *out);
	memcpy(out->modulus, der + before, sizeof out->modulus);
	memcpy(out->exponent + 4 - n, e, n);
	return key_fault(out) == NULL ? 0 : -1;
}

int szkri_public_key(EVP_PKEY *key, szkr_srvkey_t *out)
{
	unsigned char *der = NULL;
	if (EVP_PKEY_base_id(key) != EVP_PKEY_RSA)
		return -1;
	int size = i2d_PublicKey(key, &der);
	int result = size > 0 ? from_rsa_public_key(der, (size_t)size, out) : -1;
	OPENSSL_free(der);
	return result;
}

static int from_spki(const byte *der, long size, szkr_srvkey_t *out)
{
	const byte *p = der;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, size);
	int result = key != NULL && p == der + size ? szkri_public_key(key, out) : -1;
	EVP_PKEY_free(key);
	return result;
}

static int from_pem(const void *data, size_t length, szkr_srvkey_t *out)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long size = 0;
	int result = -1;
	BIO *bio = BIO_new_mem_buf(data, (int)length);
	if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &size) == 1 && size > 0) {
		if (strcmp(name, PEM_STRING_PUBLIC) == 0)
			result = from_spki(der, size, out);
		else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
			result = from_rsa_public_key(der, (size_t)size, out);
		OPENSSL_cleanse(der, (size_t)size); /* it may be a private key */
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	return result;
}

/* A private key in the file is refused even if a public one is there as well. */
static int has_private_key(const void *data, size_t length)
{
	static const char label[] = "PRIVATE KEY-----";
	const size_t size = sizeof label - 1;
	for (const char *p = data; length >= size; p++, length--)
		if (memcmp(p, label, size) == 0)
			return 1;
	return 0;
}

int szkr_key_from_pem(const void *data, size_t length, szkr_srvkey_t *key)
{
	enum { most = 64 * 1024 };
	if (data == NULL || key == NULL || length == 0 || length > most)
		return -szkr_err_invalid_state;
	szkr_srvkey_t read;
	int result = -1;
	if (length == sizeof read) {
		memcpy(&read, data, sizeof read);
		result = key_fault(&read) == NULL ? 0 : -1;
	}
	if (result < 0 && !has_private_key(data, length)) {
		ERR_set_mark();
		result = from_pem(data, length, &read);
		ERR_pop_to_mark();
	}
	if (result < 0)
		return -szkr_err_invalid_state;
	*key = read;
	return 0;
}

struct stopper {
	int (*stop)(void *param);
	void *param;
};

/* libcrypto calls this while it looks for primes; 0 ends the search. */
static int go_on(EVP_PKEY_CTX *rsa)
{
	const struct stopper *s = EVP_PKEY_CTX_get_app_data(rsa);
	return s->stop == NULL || !s->stop(s->param);
}

EVP_PKEY *szkri_generate_key(int (*stop)(void *param), void *param)
{
	struct stopper stopper = {stop, param};
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	if (rsa != NULL && EVP_PKEY_keygen_init(rsa) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(rsa, 2048) > 0) {
		EVP_PKEY_CTX_set_app_data(rsa, &stopper);
		EVP_PKEY_CTX_set_cb(rsa, go_on);
		if (EVP_PKEY_keygen(rsa, &key) <= 0)
			key = NULL;
	}
	EVP_PKEY_CTX_free(rsa);
	return key;
}
