/* handshake.h: SYN, SYN-ACK, ACK, ACK-ACK. */
#ifndef SZKRI_HANDSHAKE_H
#define SZKRI_HANDSHAKE_H

#include "context.h"

/* szkri_handshake makes a new session. */
int szkri_handshake(szkr_ctx_t *ctx);

/* szkri_seal_syn encrypts a SYN to the server's key. */
int szkri_seal_syn(struct szkri_syn *syn, const struct szkri_syn_plain *plain, EVP_PKEY *server_key);

/* szkri_open_syn_ack checks a SYN-ACK, and gives the secret in it. It returns
 * szkr_err_none, or what is wrong with it, or the error that it carries. */
szkr_err_t szkri_open_syn_ack(const struct szkri_syn_ack *p, const byte ephemeral[MEGAKI_KEY_BYTES], EVP_PKEY *client_key,
                              struct szkri_secret *secret, const char **detail);

/* szkri_judge_secret is the part of it that follows the decryption: it takes
 * the token outside, and the secret, which it wipes unless it is right. */
szkr_err_t szkri_judge_secret(const byte token[MEGAKI_TOKEN_BYTES], struct szkri_secret *secret, const char **detail);

/* szkri_seal_ack makes an ACK that gives the server the client's secret. */
int szkri_seal_ack(struct szkri_ack *ack, const struct szkri_secret *client, const byte server_symmetric[MEGAKI_KEY_BYTES],
                   const byte ephemeral[MEGAKI_KEY_BYTES], const byte iv[MEGAKI_IV_BYTES]);

#endif
