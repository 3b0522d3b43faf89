#include "wire.h"

#include "net.h"

static int io_failed(szkr_ctx_t *ctx, const char *detail)
{
	const char *why = ctx->net != NULL ? szkri_net_why(ctx->net) : NULL;
	return szkri_break(ctx, szkr_err_io, why != NULL ? why : detail);
}

int szkri_write(szkr_ctx_t *ctx, void *packet, length_t size)
{
	byte *p = packet;
	while (size > 0) {
		slength_t n = ctx->stream.write_callback(p, size, ctx->stream.cb_param);
		if (n <= 0 || (length_t)n > size)
			return io_failed(ctx, "the write callback failed");
		p += n;
		size -= (length_t)n;
	}
	return 0;
}

int szkri_read(szkr_ctx_t *ctx, void *out, length_t size)
{
	byte *p = out;
	while (size > 0) {
		slength_t n = ctx->stream.read_callback(p, size, ctx->stream.cb_param);
		if (n <= 0 || (length_t)n > size)
			return io_failed(ctx, "the read callback failed, or the server closed the connection");
		p += n;
		size -= (length_t)n;
	}
	return 0;
}

int szkri_read_head(szkr_ctx_t *ctx, struct szkri_head *head, enum szkri_type type, enum szkri_type or_type)
{
	if (szkri_read(ctx, head, sizeof *head) < 0)
		return -1;
	if (!szkri_has_magic(head))
		return szkri_break(ctx, szkr_err_protocol, "a packet without the magic: this is no Megaki server");
	if (head->type != type && head->type != or_type)
		return szkri_break(ctx, szkr_err_protocol, "a packet of a type that isn't due");
	return 0;
}

int szkri_read_rest(szkr_ctx_t *ctx, void *packet, length_t size)
{
	return szkri_read(ctx, (byte *)packet + sizeof(struct szkri_head), size - (length_t)sizeof(struct szkri_head));
}
