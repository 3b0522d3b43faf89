#include "crypto.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

int szkri_random(void *out, size_t size)
{
	return RAND_bytes(out, (int)size) == 1 ? 0 : -1;
}

int szkri_sha256(byte out[MEGAKI_HASH_BYTES], const void *data, size_t size)
{
	return EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

void szkri_derive(byte out[MEGAKI_KEY_BYTES], const byte a[MEGAKI_KEY_BYTES], const byte b[MEGAKI_KEY_BYTES])
{
	for (size_t i = 0; i < MEGAKI_KEY_BYTES; i++)
		out[i] = (byte)(~a[i] ^ b[i]);
}

int szkri_mac(byte out[MEGAKI_MAC_BYTES], const byte key[MEGAKI_KEY_BYTES], const void *data, size_t size)
{
	return HMAC(EVP_sha256(), key, MEGAKI_KEY_BYTES, data, size, out, NULL) != NULL ? 0 : -1;
}

int szkri_mac_is(const byte mac[MEGAKI_MAC_BYTES], const byte key[MEGAKI_KEY_BYTES], const void *data, size_t size)
{
	byte right[MEGAKI_MAC_BYTES];
	int same = szkri_mac(right, key, data, size) == 0 && CRYPTO_memcmp(mac, right, sizeof right) == 0;
	OPENSSL_cleanse(right, sizeof right);
	return same;
}

int szkri_encrypt(byte *out, const byte key[MEGAKI_KEY_BYTES], const byte iv[MEGAKI_IV_BYTES], const byte *plain,
                  length_t length, const byte filling[MEGAKI_BLOCK_BYTES])
{
	length_t rest = length % MEGAKI_BLOCK_BYTES, whole = length - rest;
	byte last[MEGAKI_BLOCK_BYTES];
	int size = 0;
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int ok = cipher != NULL && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, iv) == 1 &&
	         EVP_CIPHER_CTX_set_padding(cipher, 0) == 1;
	if (ok && whole > 0)
		ok = EVP_EncryptUpdate(cipher, out, &size, plain, (int)whole) == 1 && size == (int)whole;
	if (ok && rest > 0) {
		memcpy(last, filling, sizeof last);
		memcpy(last, plain + whole, rest);
		ok = EVP_EncryptUpdate(cipher, out + whole, &size, last, sizeof last) == 1 && size == (int)sizeof last;
		OPENSSL_cleanse(last, sizeof last);
	}
	EVP_CIPHER_CTX_free(cipher);
	return ok ? 0 : -1;
}

int szkri_decrypt(byte *out, const byte key[MEGAKI_KEY_BYTES], const byte iv[MEGAKI_IV_BYTES], const byte *in, length_t size)
{
	int done = 0;
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int ok = cipher != NULL && EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, iv) == 1 &&
	         EVP_CIPHER_CTX_set_padding(cipher, 0) == 1;
	if (ok && size > 0)
		ok = EVP_DecryptUpdate(cipher, out, &done, in, (int)size) == 1 && done == (int)size;
	EVP_CIPHER_CTX_free(cipher);
	return ok ? 0 : -1;
}

static int set_oaep(EVP_PKEY_CTX *rsa)
{
	return EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_OAEP_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(rsa, EVP_sha1()) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(rsa, EVP_sha1()) > 0;
}

int szkri_rsa_encrypt(byte out[MEGAKI_RSA_BLOCK_BYTES], EVP_PKEY *key, const byte *plain, size_t size)
{
	size_t written = MEGAKI_RSA_BLOCK_BYTES;
	EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new(key, NULL);
	int ok = rsa != NULL && EVP_PKEY_encrypt_init(rsa) > 0 && set_oaep(rsa) &&
	         EVP_PKEY_encrypt(rsa, out, &written, plain, size) > 0 && written == MEGAKI_RSA_BLOCK_BYTES;
	EVP_PKEY_CTX_free(rsa);
	return ok ? 0 : -1;
}

int szkri_rsa_decrypt(void *out, size_t size, EVP_PKEY *key, const byte block[MEGAKI_RSA_BLOCK_BYTES])
{
	byte plain[MEGAKI_RSA_BLOCK_BYTES]; /* libcrypto wants room for a whole block */
	size_t written = sizeof plain;
	EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new(key, NULL);
	int ok = rsa != NULL && EVP_PKEY_decrypt_init(rsa) > 0 && set_oaep(rsa) &&
	         EVP_PKEY_decrypt(rsa, plain, &written, block, MEGAKI_RSA_BLOCK_BYTES) > 0 && written == size;
	EVP_PKEY_CTX_free(rsa);
	if (ok)
		memcpy(out, plain, size);
	OPENSSL_cleanse(plain, sizeof plain);
	return ok ? 0 : -1;
}

/* What the MAC covers: from the IV on. */
static const byte *covered(const byte *packet)
{
	return packet + offsetof(struct szkri_msg, iv);
}

int szkri_seal(byte *packet, enum szkri_type type, const byte token[MEGAKI_TOKEN_BYTES], const byte key[MEGAKI_KEY_BYTES],
               const struct szkri_nonce *nonce, const byte *plain, length_t length)
{
	struct szkri_msg *msg = (struct szkri_msg *)packet;
	szkri_put_head(&msg->head, type);
	szkri_put_length(msg->length, length);
	memcpy(msg->token, token, sizeof msg->token);
	memcpy(msg->iv, nonce->iv, sizeof msg->iv);
	if (szkri_encrypt(packet + sizeof *msg, key, nonce->iv, plain, length, nonce->filling) < 0)
		return -1;
	return szkri_mac(msg->mac, key, covered(packet), sizeof msg->iv + szkri_padded(length));
}

int szkri_authentic(const byte *packet, const byte key[MEGAKI_KEY_BYTES], length_t ciphertext_size)
{
	const struct szkri_msg *msg = (const struct szkri_msg *)packet;
	return szkri_mac_is(msg->mac, key, covered(packet), sizeof msg->iv + ciphertext_size);
}
