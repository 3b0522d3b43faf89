/* vectors.h: the vectors of the protocol, and the recording of a client and a
 * server, v1-flow.json. */
#ifndef VECTORS_H
#define VECTORS_H

#include <openssl/evp.h>

#include "sazukari.h"

/* SAZUKARI_VECTORS names the folder of vectors. vectors_load reads the recording
 * once; json_read reads another file, which the caller frees. */
void vectors_load(void);
void vectors_free(void);
char *json_read(const char *name);

/* json_find returns where the value at a path such as "tests.0.packet" begins,
 * or NULL. json may be the beginning of any value. */
const char *json_find(const char *json, const char *path);

/* These read the string at a path, which must exist: as text, as hex, and as
 * hex of exactly size bytes. The caller frees the bytes. */
const char *json_text(const char *json, const char *path);
byte *json_bytes(const char *json, const char *path, size_t *size);
void json_exact(const char *json, const char *path, void *out, size_t size);

/* json_is returns 1 if there is a string at a path, and it is text. */
int json_is(const char *json, const char *path, const char *text);

/* json_number returns the number at a path, 0 if there is none. */
long json_number(const char *json, const char *path);

/* json_key reads a private RSA key in PEM. The caller frees it. */
EVP_PKEY *json_key(const char *json, const char *path);

/* The same of the recording. */
const char *vector_text(const char *path);
int vector_has(const char *path);
byte *vector_bytes(const char *path, size_t *size);
void vector_exact(const char *path, void *out, size_t size);

/* The recorded private keys. The caller frees them. */
EVP_PKEY *vector_server_key(void);
EVP_PKEY *vector_client_key(void);
szkr_srvkey_t vector_pinned_key(void);

#endif
