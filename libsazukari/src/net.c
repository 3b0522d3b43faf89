#include "net.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "handshake.h"
#include "resume.h"
#include "socket.h"

enum {
	default_connect_ms = 10000,
	default_handshake_ms = 15000,
	default_message_ms = 60000,
	/* How many connections in a row may fail while they resume a session,
	 * before a handshake is done instead. One may be an accident. */
	max_failed_resumes = 3
};

struct szkri_net {
	szkri_socket socket;
	szkri_time deadline; /* of what is read and written now */
	const char *why;
	uint32_t connect_ms, handshake_ms, message_ms;
	int failed_resumes;
	uint16_t port;
	char host[]; /* ends with a 0 */
};

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static struct szkri_net *new_net(const char *host, uint16_t port, const szkr_options_t *options)
{
	static const szkr_options_t none;
	const szkr_options_t *o = options != NULL ? options : &none;
	size_t length = strlen(host) + 1;
	struct szkri_net *net = calloc(1, sizeof *net + length);
	if (net == NULL)
		return NULL;
	memcpy(net->host, host, length);
	net->port = port;
	net->socket = SZKRI_NO_SOCKET;
	net->connect_ms = or_default(o->connect_ms, default_connect_ms);
	net->handshake_ms = or_default(o->handshake_ms, default_handshake_ms);
	net->message_ms = or_default(o->message_ms, default_message_ms);
	return net;
}

static slength_t read_socket(byte *p, length_t length, void *param)
{
	struct szkri_net *net = param;
	return szkri_socket_read(net->socket, p, length, net->deadline, &net->why);
}

static slength_t write_socket(byte *p, length_t length, void *param)
{
	struct szkri_net *net = param;
	return szkri_socket_write(net->socket, p, length, net->deadline, &net->why);
}

int szkri_net_ensure(szkr_ctx_t *ctx)
{
	struct szkri_net *net = ctx->net;
	if (net == NULL)
		return 0;
	if (net->socket == SZKRI_NO_SOCKET) {
		net->socket = szkri_socket_connect(net->host, net->port, szkri_now() + net->connect_ms, &net->why);
		if (net->socket == SZKRI_NO_SOCKET)
			return szkri_fail(ctx, szkr_err_io, net->why);
	}
	net->deadline = szkri_now() + net->handshake_ms;
	return 0;
}

static int resume(szkr_ctx_t *ctx)
{
	if (szkri_net_ensure(ctx) < 0)
		return -1;
	struct szkri_session session = ctx->session;
	int result = szkri_resume(ctx, &session);
	OPENSSL_cleanse(&session, sizeof session);
	if (result == 0 || ctx->error == szkr_err_handshake_needed)
		ctx->net->failed_resumes = 0;
	else
		ctx->net->failed_resumes++;
	return result;
}

int szkri_net_begin(szkr_ctx_t *ctx)
{
	szkri_net_close(ctx->net);
	if (ctx->has_session && ctx->net->failed_resumes >= max_failed_resumes) {
		szkri_forget(ctx);
		ctx->net->failed_resumes = 0;
	}
	if (ctx->has_session) {
		if (resume(ctx) == 0)
			return 0;
		if (ctx->error != szkr_err_handshake_needed)
			return -1;
	}
	/* The key first: it must not take the time of the handshake. */
	if (szkri_make_key(ctx) < 0 || szkri_net_ensure(ctx) < 0 || szkri_handshake(ctx) < 0)
		return -1;
	szkri_fail(ctx, szkr_err_none, "");
	return 0;
}

int szkr_connect(szkr_ctx_t *ctx, const char *host, uint16_t port, szkr_srvkey_t key, const szkr_options_t *options)
{
	if (ctx == NULL)
		return -1;
	ERR_set_mark();
	szkr_iostream_t stream = {read_socket, write_socket, NULL};
	if (szkri_new(ctx, &stream, &key) < 0)
		return szkri_leave(-1);
	if (host == NULL || *host == '\0' || port == 0) {
		szkri_empty(ctx);
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "no host, or port 0"));
	}
	ctx->net = new_net(host, port, options);
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
	if (szkri_net_begin(ctx) < 0) {
		szkri_empty(ctx);
		return szkri_leave(-1);
	}
	return szkri_leave(0);
}

void szkri_net_expect_message(struct szkri_net *net)
{
	if (net != NULL)
		net->deadline = szkri_now() + net->message_ms;
}

int szkri_net_stale(const struct szkri_net *net)
{
	return net->socket == SZKRI_NO_SOCKET || szkri_socket_stale(net->socket);
}

const char *szkri_net_why(const struct szkri_net *net)
{
	return net->why;
}

const char *szkri_net_host(const struct szkri_net *net, uint16_t *port)
{
	*port = net->port;
	return net->host;
}

void szkri_net_close(struct szkri_net *net)
{
	if (net->socket != SZKRI_NO_SOCKET)
		szkri_socket_close(net->socket);
	net->socket = SZKRI_NO_SOCKET;
}

void szkri_net_free(struct szkri_net *net)
{
	if (net == NULL)
		return;
	szkri_net_close(net);
	free(net);
}
