/* context.h: the state of a client. */
#ifndef SZKRI_CONTEXT_H
#define SZKRI_CONTEXT_H

#include "crypto.h"
#include "keygen.h"
#include "packet.h"
#include "seen.h"

enum {
	SZKRI_DEFAULT_MAX_MESSAGES = 16384,
	SZKRI_MOST_MAX_MESSAGES = 1048576
};

enum szkri_state {
	SZKRI_EMPTY,  /* it couldn't be made, and holds no more than its error */
	SZKRI_FRESH,  /* a handshake may begin */
	SZKRI_READY,  /* a message may be sent */
	SZKRI_BROKEN  /* the connection is of no use any more */
};

/* A session, as it is saved. */
struct szkri_session {
	byte token[MEGAKI_TOKEN_BYTES];
	byte key[MEGAKI_KEY_BYTES]; /* the master key */
};
_Static_assert(sizeof(struct szkri_session) == SAZUKARI_SESSION_BYTES, "saved session");

struct szkri_net;

struct szkr_ctx {
	uint64_t magic; /* set from szkr_new_ctx to szkr_destroy_ctx */
	szkr_iostream_t stream;
	EVP_PKEY *server_key;
	EVP_PKEY *client_key;         /* NULL until it is needed */
	struct szkri_keygen *keygen;  /* NULL unless the key is made in the background */

	enum szkri_state state;
	szkr_err_t error;   /* of the last call */
	const char *detail; /* a constant; never NULL */

	int has_session;
	struct szkri_session session;
	struct szkri_seen seen; /* under the session's key */
	length_t count;         /* messages sent under it */
	length_t max_messages;

	struct szkri_net *net; /* the connection of szkr_connect; NULL where it is the caller's */
	int failed_resumes;    /* on it, in a row */
};

/* szkri_new makes a context of uninitialised memory. */
int szkri_new(szkr_ctx_t *ctx, const szkr_iostream_t *stream, const szkr_srvkey_t *key);

/* szkri_empty releases all but the error. */
void szkri_empty(szkr_ctx_t *ctx);

/* szkri_enter begins a public call: it returns 0 if there is no such context.
 * szkri_leave ends it, and returns result; it takes the call's errors from
 * libcrypto's queue, which is the program's. (Those that were there before may
 * go too: the decoders of OpenSSL 3.0 lose a mark.) */
int szkri_enter(szkr_ctx_t *ctx);
int szkri_leave(int result);

/* szkri_fail notes an error, and returns -1. szkri_break notes one after which
 * the connection can't be used. */
int szkri_fail(szkr_ctx_t *ctx, szkr_err_t error, const char *detail);
int szkri_break(szkr_ctx_t *ctx, szkr_err_t error, const char *detail);

/* szkri_ensure connects if the context's connection is one of szkr_connect and is
 * closed, and allows the time of a handshake. */
int szkri_ensure(szkr_ctx_t *ctx);

/* szkri_begin starts a session under a new key. */
void szkri_begin(szkr_ctx_t *ctx, const byte token[MEGAKI_TOKEN_BYTES], const byte key[MEGAKI_KEY_BYTES]);

/* szkri_forget wipes the session. */
void szkri_forget(szkr_ctx_t *ctx);

/* szkri_make_key sees to it that the context has its RSA key. */
int szkri_make_key(szkr_ctx_t *ctx);

#endif
