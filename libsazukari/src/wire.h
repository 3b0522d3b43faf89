/* wire.h: whole packets over the callbacks. Failures break the context. */
#ifndef SZKRI_WIRE_H
#define SZKRI_WIRE_H

#include "context.h"

/* szkri_write writes a whole packet, with one call if the callback takes it. */
int szkri_write(szkr_ctx_t *ctx, void *packet, length_t size);

/* szkri_read reads exactly size bytes. */
int szkri_read(szkr_ctx_t *ctx, void *out, length_t size);

/* szkri_read_head reads a header, and refuses what has no magic, or a type
 * that is neither of the two. */
int szkri_read_head(szkr_ctx_t *ctx, struct szkri_head *head, enum szkri_type type, enum szkri_type or_type);

/* szkri_read_rest reads what follows the header of a packet. */
int szkri_read_rest(szkr_ctx_t *ctx, void *packet, length_t size);

#endif
