#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "connect.h"
#include "message.h"
#include "net.h"
#include "wire.h"

/* Sees to it that the context can send one more message. */
static int get_ready(szkr_ctx_t *ctx)
{
	int used_up = ctx->count >= ctx->max_messages;
	if (ctx->net != NULL) {
		if (ctx->state != SZKRI_READY || used_up || szkri_net_stale(ctx->net))
			return szkri_connect(ctx);
		return 0;
	}
	if (ctx->state != SZKRI_READY)
		return szkri_fail(ctx, szkr_err_invalid_state, "no session on this connection: do a handshake or resume one");
	if (used_up)
		return szkri_break(ctx, szkr_err_io, "the messages that one key may carry are used up: resume the session on a new connection");
	return 0;
}

static int send_msg(szkr_ctx_t *ctx, const byte *plain, length_t length)
{
	struct szkri_nonce nonce;
	length_t size = (length_t)sizeof(struct szkri_msg) + szkri_padded(length);
	byte *packet = malloc(size);
	if (packet == NULL || szkri_seen_reserve(&ctx->seen, 2) < 0) {
		free(packet);
		return szkri_fail(ctx, szkr_err_internal, "no memory");
	}
	int result;
	if (szkri_random(&nonce, sizeof nonce) < 0 ||
	    szkri_seal(packet, SZKRI_MSG, ctx->session.token, ctx->session.key, &nonce, plain, length) < 0) {
		result = szkri_fail(ctx, szkr_err_internal, "the message couldn't be encrypted");
	} else {
		szkri_seen_add(&ctx->seen, ((struct szkri_msg *)packet)->mac);
		ctx->count++;
		result = szkri_write(ctx, packet, size);
	}
	free(packet);
	return result;
}

/* Reads the ciphertext behind the header, and decrypts it in place. */
static int receive_rest(szkr_ctx_t *ctx, byte *packet, length_t ciphertext_size)
{
	const struct szkri_msg *msg = (const struct szkri_msg *)packet;
	byte *ciphertext = packet + sizeof *msg;
	if (szkri_read(ctx, ciphertext, ciphertext_size) < 0)
		return -1;
	if (!szkri_authentic(packet, ctx->session.key, ciphertext_size))
		return szkri_break(ctx, szkr_err_protocol, "a response with a wrong MAC");
	if (!szkri_seen_add(&ctx->seen, msg->mac))
		return szkri_break(ctx, szkr_err_protocol, "a packet that was sent before, in place of the response");
	if (szkri_decrypt(ciphertext, ctx->session.key, msg->iv, ciphertext, ciphertext_size) < 0)
		return szkri_break(ctx, szkr_err_internal, "the response couldn't be decrypted");
	return 0;
}

int szkri_receive(szkr_ctx_t *ctx, byte **response, length_t *length)
{
	struct szkri_msg msg;
	if (szkri_read_head(ctx, &msg.head, SZKRI_MSG, SZKRI_MSG) < 0 || szkri_read_rest(ctx, &msg, sizeof msg) < 0)
		return -1;
	length_t n = szkri_get_length(msg.length);
	if (n > SAZUKARI_RESPONSE_HARD_LIMIT)
		return szkri_break(ctx, szkr_err_response_too_long, "the response is over 1 MiB");
	if (CRYPTO_memcmp(msg.token, ctx->session.token, sizeof msg.token) != 0)
		return szkri_break(ctx, szkr_err_protocol, "a response with another token");
	length_t padded = szkri_padded(n);
	byte *packet = malloc(sizeof msg + padded + 1);
	if (packet == NULL)
		return szkri_break(ctx, szkr_err_internal, "no memory for the response");
	memcpy(packet, &msg, sizeof msg);
	if (receive_rest(ctx, packet, padded) < 0) {
		OPENSSL_cleanse(packet, sizeof msg + padded);
		free(packet);
		return -1;
	}
	/* The response starts the buffer, so that free() takes it. */
	memmove(packet, packet + sizeof msg, n);
	OPENSSL_cleanse(packet + n, sizeof msg + padded + 1 - n);
	*response = packet;
	*length = n;
	return 0;
}

int szkri_message(szkr_ctx_t *ctx, const byte *plain, length_t length, byte **response, length_t *response_length)
{
	if (length == 0)
		return szkri_fail(ctx, szkr_err_invalid_state, "a message has at least one byte");
	if (length > SAZUKARI_MESSAGE_HARD_LIMIT)
		return szkri_fail(ctx, szkr_err_message_too_long, "the message is over 1 MiB");
	if (get_ready(ctx) < 0)
		return -1;
	szkri_net_expect_message(ctx->net);
	if (send_msg(ctx, plain, length) < 0)
		return -1;
	return szkri_receive(ctx, response, response_length);
}

int szkr_send_message(szkr_ctx_t *ctx, byte *msg, length_t msglen, byte **responsebuf, length_t *responselen)
{
	if (responsebuf != NULL)
		*responsebuf = NULL;
	if (responselen != NULL)
		*responselen = 0;
	if (!szkri_enter(ctx))
		return -1;
	if (ctx->state == SZKRI_EMPTY || msg == NULL || responsebuf == NULL || responselen == NULL)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "an argument is NULL, or there is no context"));
	return szkri_leave(szkri_message(ctx, msg, msglen, responsebuf, responselen));
}
