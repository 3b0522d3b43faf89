/* vectors.h: the recorded client and server, from v1-flow.json. */
#ifndef VECTORS_H
#define VECTORS_H

#include <openssl/evp.h>

#include "sazukari.h"

/* The file is what SAZUKARI_VECTORS names; vectors_load reads it once. */
void vectors_load(void);
void vectors_free(void);

/* vector_text returns the string at a path such as "messages.0.packets.1.hex",
 * which must exist; vector_has reports whether it does. */
const char *vector_text(const char *path);
int vector_has(const char *path);

/* vector_bytes decodes the hex at a path. The caller frees it. */
byte *vector_bytes(const char *path, size_t *size);

/* vector_exact decodes exactly size bytes. */
void vector_exact(const char *path, void *out, size_t size);

/* The recorded private keys. The caller frees them. */
EVP_PKEY *vector_server_key(void);
EVP_PKEY *vector_client_key(void);
szkr_srvkey_t vector_pinned_key(void);

#endif
