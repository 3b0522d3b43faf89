/* keygen.h: an RSA key that is made in the background. */
#ifndef SZKRI_KEYGEN_H
#define SZKRI_KEYGEN_H

#include <openssl/evp.h>

struct szkri_keygen;

/* szkri_keygen_start returns NULL without memory or thread. */
struct szkri_keygen *szkri_keygen_start(void);

/* szkri_keygen_done returns 1 once the key is made, or has failed. */
int szkri_keygen_done(struct szkri_keygen *job);

/* szkri_keygen_wait waits for the key, releases the job and returns the key;
 * NULL if it couldn't be made. */
EVP_PKEY *szkri_keygen_wait(struct szkri_keygen *job);

/* szkri_keygen_stop breaks the job off and releases it. job may be NULL. */
void szkri_keygen_stop(struct szkri_keygen *job);

#endif
