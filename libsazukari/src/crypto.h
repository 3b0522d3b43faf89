/* crypto.h: what the protocol takes from libcrypto. Functions that return int
 * return 0, or -1 when they fail. */
#ifndef SZKRI_CRYPTO_H
#define SZKRI_CRYPTO_H

#include <openssl/evp.h>

#include "packet.h"

int szkri_random(void *out, size_t size);
int szkri_sha256(byte out[MEGAKI_HASH_BYTES], const void *data, size_t size);

/* szkri_derive mixes two keys: NOT a XOR b. out may be a or b. */
void szkri_derive(byte out[MEGAKI_KEY_BYTES], const byte a[MEGAKI_KEY_BYTES], const byte b[MEGAKI_KEY_BYTES]);

/* szkri_mac is HMAC-SHA-256. */
int szkri_mac(byte out[MEGAKI_MAC_BYTES], const byte key[MEGAKI_KEY_BYTES], const void *data, size_t size);

/* szkri_mac_is returns 1 if mac is the MAC of the data, else 0. The time it
 * takes doesn't depend on where they differ. */
int szkri_mac_is(const byte mac[MEGAKI_MAC_BYTES], const byte key[MEGAKI_KEY_BYTES], const void *data, size_t size);

/* szkri_encrypt is AES-256-CBC of length bytes, filled to whole blocks with
 * bytes of filling. out is szkri_padded(length) bytes, and isn't plain. */
int szkri_encrypt(byte *out, const byte key[MEGAKI_KEY_BYTES], const byte iv[MEGAKI_IV_BYTES], const byte *plain,
                  length_t length, const byte filling[MEGAKI_BLOCK_BYTES]);

/* szkri_decrypt decrypts whole blocks. out may be in. */
int szkri_decrypt(byte *out, const byte key[MEGAKI_KEY_BYTES], const byte iv[MEGAKI_IV_BYTES], const byte *in, length_t size);

/* szkri_rsa_encrypt encrypts up to 214 bytes to a key: OAEP with SHA-1. */
int szkri_rsa_encrypt(byte out[MEGAKI_RSA_BLOCK_BYTES], EVP_PKEY *key, const byte *plain, size_t size);

/* szkri_rsa_decrypt fails unless the plaintext is exactly size bytes. */
int szkri_rsa_decrypt(void *out, size_t size, EVP_PKEY *key, const byte block[MEGAKI_RSA_BLOCK_BYTES]);

/* What a MSG draws at random: its IV, and what fills its last block. */
struct szkri_nonce {
	byte iv[MEGAKI_IV_BYTES];
	byte filling[MEGAKI_BLOCK_BYTES];
};

/* szkri_seal makes a whole MSG, RSTOR or RSTOR-ACK: packet has room for the
 * header and the padded ciphertext. */
int szkri_seal(byte *packet, enum szkri_type type, const byte token[MEGAKI_TOKEN_BYTES], const byte key[MEGAKI_KEY_BYTES],
               const struct szkri_nonce *nonce, const byte *plain, length_t length);

/* szkri_authentic returns 1 if the MAC of a MSG, RSTOR or RSTOR-ACK is right. */
int szkri_authentic(const byte *packet, const byte key[MEGAKI_KEY_BYTES], length_t ciphertext_size);

#endif
