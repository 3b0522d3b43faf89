#include "connect.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "handshake.h"
#include "net.h"
#include "resume.h"

enum {
	/* How many connections in a row may fail while they resume a session,
	 * before a handshake is done instead. One may be an accident. */
	max_failed_resumes = 3
};

static int resume(szkr_ctx_t *ctx)
{
	if (szkri_ensure(ctx) < 0)
		return -1;
	struct szkri_session session = ctx->session;
	int result = szkri_resume(ctx, &session);
	OPENSSL_cleanse(&session, sizeof session);
	if (result == 0 || ctx->error == szkr_err_handshake_needed)
		ctx->failed_resumes = 0;
	else
		ctx->failed_resumes++;
	return result;
}

int szkri_connect(szkr_ctx_t *ctx)
{
	szkri_net_close(ctx->net);
	if (ctx->has_session && ctx->failed_resumes >= max_failed_resumes) {
		szkri_forget(ctx);
		ctx->failed_resumes = 0;
	}
	if (ctx->has_session) {
		if (resume(ctx) == 0)
			return 0;
		if (ctx->error != szkr_err_handshake_needed)
			return -1;
	}
	/* The key first: it must not take the time of the handshake. */
	if (szkri_make_key(ctx) < 0 || szkri_ensure(ctx) < 0 || szkri_handshake(ctx) < 0)
		return -1;
	szkri_fail(ctx, szkr_err_none, "");
	return 0;
}

int szkr_connect(szkr_ctx_t *ctx, const char *host, uint16_t port, szkr_srvkey_t key, const szkr_options_t *options)
{
	if (ctx == NULL)
		return -1;
	ERR_set_mark();
	szkr_iostream_t stream = {szkri_net_read, szkri_net_write, NULL};
	if (szkri_new(ctx, &stream, &key) < 0)
		return szkri_leave(-1);
	if (host == NULL || *host == '\0' || port == 0) {
		szkri_empty(ctx);
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "no host, or port 0"));
	}
	ctx->net = szkri_net_new(host, port, options);
	if (ctx->net == NULL) {
		szkri_empty(ctx);
		return szkri_leave(szkri_fail(ctx, szkr_err_internal, "no memory"));
	}
	ctx->stream.cb_param = ctx->net;
	if (options != NULL && options->session != NULL) {
		const byte *s = options->session;
		szkri_begin(ctx, s, s + MEGAKI_TOKEN_BYTES);
		ctx->state = SZKRI_BROKEN;
	}
	if (szkri_connect(ctx) < 0) {
		szkri_empty(ctx);
		return szkri_leave(-1);
	}
	return szkri_leave(0);
}
