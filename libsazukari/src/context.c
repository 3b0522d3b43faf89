#include "context.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "keys.h"
#include "net.h"

static const uint64_t alive = UINT64_C(0x53617A756B617269);

int szkr_init(void)
{
	return OPENSSL_init_crypto(0, NULL) == 1 ? 0 : -1;
}

void szkr_destroy(void)
{
	/* There is nothing to release: libcrypto sees to its own. */
}

int szkr_get_ctxsize(void)
{
	return (int)sizeof(szkr_ctx_t);
}

int szkri_new(szkr_ctx_t *ctx, const szkr_iostream_t *stream, const szkr_srvkey_t *key)
{
	const char *reason;
	memset(ctx, 0, sizeof *ctx);
	ctx->magic = alive;
	ctx->detail = "";
	ctx->max_messages = SZKRI_DEFAULT_MAX_MESSAGES;
	if (stream->read_callback == NULL || stream->write_callback == NULL)
		return szkri_fail(ctx, szkr_err_invalid_state, "a callback is NULL");
	ctx->stream = *stream;
	ctx->server_key = szkri_load_key(key, &reason);
	if (ctx->server_key == NULL)
		return szkri_fail(ctx, szkr_err_invalid_state, reason);
	ctx->state = SZKRI_FRESH;
	return 0;
}

int szkr_new_ctx(szkr_ctx_t *ctx, szkr_iostream_t stream, szkr_srvkey_t key)
{
	if (ctx == NULL)
		return -1;
	ERR_set_mark();
	return szkri_leave(szkri_new(ctx, &stream, &key));
}

void szkri_empty(szkr_ctx_t *ctx)
{
	szkri_net_free(ctx->net);
	ctx->net = NULL;
	szkri_keygen_stop(ctx->keygen);
	ctx->keygen = NULL;
	EVP_PKEY_free(ctx->client_key);
	EVP_PKEY_free(ctx->server_key);
	ctx->client_key = ctx->server_key = NULL;
	szkri_forget(ctx);
	ctx->state = SZKRI_EMPTY;
}

void szkr_destroy_ctx(szkr_ctx_t *ctx)
{
	if (ctx == NULL || ctx->magic != alive)
		return;
	szkri_empty(ctx);
	OPENSSL_cleanse(ctx, sizeof *ctx);
}

int szkr_reset_ctx(szkr_ctx_t *ctx)
{
	if (!szkri_enter(ctx))
		return -1;
	if (ctx->state == SZKRI_EMPTY)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "the context couldn't be made before"));
	szkri_forget(ctx);
	if (ctx->net != NULL && ctx->state != SZKRI_FRESH)
		szkri_net_close(ctx->net);
	ctx->state = SZKRI_FRESH;
	return szkri_leave(0);
}

int skzr_reset_ctx(szkr_ctx_t *ctx)
{
	return szkr_reset_ctx(ctx);
}

int szkri_enter(szkr_ctx_t *ctx)
{
	if (ctx == NULL || ctx->magic != alive)
		return 0;
	ctx->error = szkr_err_none;
	ctx->detail = "";
	ERR_set_mark();
	return 1;
}

int szkri_leave(int result)
{
	ERR_pop_to_mark();
	return result;
}

int szkri_fail(szkr_ctx_t *ctx, szkr_err_t error, const char *detail)
{
	ctx->error = error;
	ctx->detail = detail;
	return -1;
}

int szkri_break(szkr_ctx_t *ctx, szkr_err_t error, const char *detail)
{
	ctx->state = SZKRI_BROKEN;
	if (ctx->net != NULL)
		szkri_net_close(ctx->net);
	return szkri_fail(ctx, error, detail);
}

int szkri_ensure(szkr_ctx_t *ctx)
{
	if (ctx->net != NULL && szkri_net_ensure(ctx->net) < 0)
		return szkri_fail(ctx, szkr_err_io, szkri_net_why(ctx->net));
	return 0;
}

void szkri_begin(szkr_ctx_t *ctx, const byte token[MEGAKI_TOKEN_BYTES], const byte key[MEGAKI_KEY_BYTES])
{
	struct szkri_session session;
	memcpy(session.token, token, sizeof session.token);
	memcpy(session.key, key, sizeof session.key);
	szkri_forget(ctx);
	ctx->session = session;
	ctx->has_session = 1;
	ctx->state = SZKRI_READY;
	OPENSSL_cleanse(&session, sizeof session);
}

void szkri_forget(szkr_ctx_t *ctx)
{
	OPENSSL_cleanse(&ctx->session, sizeof ctx->session);
	ctx->has_session = 0;
	ctx->count = 0;
	szkri_seen_clear(&ctx->seen);
}

int szkri_make_key(szkr_ctx_t *ctx)
{
	if (ctx->client_key == NULL && ctx->keygen != NULL) {
		ctx->client_key = szkri_keygen_wait(ctx->keygen);
		ctx->keygen = NULL;
	}
	if (ctx->client_key == NULL)
		ctx->client_key = szkri_generate_key(NULL, NULL);
	if (ctx->client_key == NULL)
		return szkri_fail(ctx, szkr_err_internal, "the RSA key couldn't be made");
	return 0;
}

int szkr_prepare_key(szkr_ctx_t *ctx)
{
	if (!szkri_enter(ctx))
		return -1;
	if (ctx->state == SZKRI_EMPTY)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "the context couldn't be made before"));
	if (ctx->client_key == NULL && ctx->keygen == NULL) {
		ctx->keygen = szkri_keygen_start();
		if (ctx->keygen == NULL)
			return szkri_leave(szkri_fail(ctx, szkr_err_internal, "no memory or thread to make the RSA key"));
	}
	return szkri_leave(0);
}

int szkr_key_ready(szkr_ctx_t *ctx)
{
	if (ctx == NULL || ctx->magic != alive)
		return 0;
	return ctx->client_key != NULL || (ctx->keygen != NULL && szkri_keygen_done(ctx->keygen));
}

int szkr_set_max_messages(szkr_ctx_t *ctx, length_t count)
{
	if (!szkri_enter(ctx))
		return -1;
	if (count < 1 || count > SZKRI_MOST_MAX_MESSAGES)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "the count isn't from 1 to 1048576"));
	ctx->max_messages = count;
	return szkri_leave(0);
}

szkr_err_t szkr_last_error(szkr_ctx_t *ctx)
{
	return ctx != NULL && ctx->magic == alive ? ctx->error : szkr_err_invalid_state;
}

const char *szkr_last_error_detail(szkr_ctx_t *ctx)
{
	return ctx != NULL && ctx->magic == alive ? ctx->detail : "there is no such context";
}

const char *szkr_version(void)
{
	return SAZUKARI_VERSION;
}
