#include "resume.h"

#include <string.h>

#include <openssl/crypto.h>

#include "net.h"
#include "wire.h"

/* All that a resumption must wipe. */
struct secrets {
	struct szkri_session session;
	byte augment[MEGAKI_KEY_BYTES];
	byte master[MEGAKI_KEY_BYTES]; /* the new one */
};

szkr_err_t szkri_open_rstor_ack(const struct szkri_rstor *p, const struct szkri_session *session,
                                const byte augment[MEGAKI_KEY_BYTES], byte master[MEGAKI_KEY_BYTES], const char **detail)
{
	byte mid[MEGAKI_KEY_BYTES], server_augment[MEGAKI_KEY_BYTES];
	szkr_err_t error = szkr_err_protocol;
	szkri_derive(mid, session->key, augment);
	if (szkri_get_length(p->msg.length) != sizeof p->ciphertext) {
		*detail = "a RSTOR-ACK of a wrong length";
	} else if (CRYPTO_memcmp(p->msg.token, session->token, sizeof p->msg.token) != 0) {
		*detail = "a RSTOR-ACK with another token";
	} else if (!szkri_authentic((const byte *)p, mid, sizeof p->ciphertext)) {
		*detail = "a RSTOR-ACK with a wrong MAC";
	} else if (szkri_decrypt(server_augment, mid, p->msg.iv, p->ciphertext, sizeof p->ciphertext) < 0) {
		error = szkr_err_internal;
		*detail = "the RSTOR-ACK couldn't be decrypted";
	} else {
		error = szkr_err_none;
		szkri_derive(master, mid, server_augment);
	}
	OPENSSL_cleanse(mid, sizeof mid);
	OPENSSL_cleanse(server_augment, sizeof server_augment);
	return error;
}

static int send_rstor(szkr_ctx_t *ctx, struct secrets *s, struct szkri_rstor *p)
{
	struct szkri_nonce nonce;
	if (szkri_random(&nonce, sizeof nonce) < 0 || szkri_random(s->augment, sizeof s->augment) < 0)
		return szkri_break(ctx, szkr_err_internal, "no random bytes");
	if (szkri_seal((byte *)p, SZKRI_RSTOR, s->session.token, s->session.key, &nonce, s->augment, sizeof s->augment) < 0)
		return szkri_break(ctx, szkr_err_internal, "the RSTOR couldn't be encrypted");
	return szkri_write(ctx, p, sizeof *p);
}

static int receive_rstor_ack(szkr_ctx_t *ctx, struct secrets *s, struct szkri_rstor *p)
{
	const char *detail = "";
	if (szkri_read_head(ctx, &p->msg.head, SZKRI_RSTOR_ACK, SZKRI_REQ_REHS) < 0)
		return -1;
	if (p->msg.head.type == SZKRI_REQ_REHS) {
		szkri_forget(ctx);
		ctx->state = SZKRI_FRESH;
		return szkri_fail(ctx, szkr_err_handshake_needed, "the server can't resume the session");
	}
	if (szkri_read_rest(ctx, p, sizeof *p) < 0)
		return -1;
	szkr_err_t error = szkri_open_rstor_ack(p, &s->session, s->augment, s->master, &detail);
	return error == szkr_err_none ? 0 : szkri_break(ctx, error, detail);
}

static int exchange(szkr_ctx_t *ctx, struct secrets *s)
{
	struct szkri_rstor sent, received;
	if (send_rstor(ctx, s, &sent) < 0 || receive_rstor_ack(ctx, s, &received) < 0)
		return -1;
	szkri_begin(ctx, s->session.token, s->master);
	/* Their keys are other ones, unless an augment was all ones. */
	if (szkri_seen_reserve(&ctx->seen, 2) < 0)
		return szkri_break(ctx, szkr_err_internal, "no memory");
	szkri_seen_add(&ctx->seen, sent.msg.mac);
	szkri_seen_add(&ctx->seen, received.msg.mac);
	return 0;
}

int szkri_resume(szkr_ctx_t *ctx, const struct szkri_session *session)
{
	struct secrets s;
	memset(&s, 0, sizeof s);
	s.session = *session; /* which may be the context's own */
	szkri_begin(ctx, s.session.token, s.session.key);
	ctx->state = SZKRI_BROKEN; /* until the server has agreed */
	int result = exchange(ctx, &s);
	OPENSSL_cleanse(&s, sizeof s);
	return result;
}

int szkr_resume_session(szkr_ctx_t *ctx, const byte *sdata)
{
	if (!szkri_enter(ctx))
		return -1;
	if (sdata == NULL || ctx->state == SZKRI_EMPTY)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "there is no session to resume, or no context"));
	struct szkri_session session;
	memcpy(&session, sdata, sizeof session);
	if (ctx->net != NULL)
		szkri_net_close(ctx->net); /* a RSTOR comes first on a connection */
	int result = szkri_ensure(ctx);
	if (result == 0)
		result = szkri_resume(ctx, &session);
	OPENSSL_cleanse(&session, sizeof session);
	return szkri_leave(result);
}

int szkr_get_session_data(szkr_ctx_t *ctx, byte *sdata, length_t *len)
{
	if (!szkri_enter(ctx))
		return -1;
	if (sdata == NULL || !ctx->has_session)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "the context has no session, or sdata is NULL"));
	memcpy(sdata, &ctx->session, sizeof ctx->session);
	if (len != NULL)
		*len = sizeof ctx->session;
	return szkri_leave(0);
}

length_t szkr_get_session_data_size(void)
{
	return sizeof(struct szkri_session);
}
