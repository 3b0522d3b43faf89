/* keys.h: RSA keys in the forms of libcrypto and of the wire. */
#ifndef SZKRI_KEYS_H
#define SZKRI_KEYS_H

#include <openssl/evp.h>

#include "sazukari.h"

/* szkri_load_key makes a libcrypto key of a public key. It returns NULL for a
 * key that isn't right, with a reason, or without memory. */
EVP_PKEY *szkri_load_key(const szkr_srvkey_t *key, const char **reason);

/* szkri_public_key writes the public half of a key. It returns -1 for what is
 * no RSA key of 2048 bits. */
int szkri_public_key(EVP_PKEY *key, szkr_srvkey_t *out);

/* szkri_generate_key makes a client's key. It stops and returns NULL when
 * stop(param) returns nonzero; stop may be NULL. */
EVP_PKEY *szkri_generate_key(int (*stop)(void *param), void *param);

#endif
