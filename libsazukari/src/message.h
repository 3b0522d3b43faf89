/* message.h: a message and its response. */
#ifndef SZKRI_MESSAGE_H
#define SZKRI_MESSAGE_H

#include "context.h"

/* szkri_message sends a message and reads the response, which the caller frees. */
int szkri_message(szkr_ctx_t *ctx, const byte *plain, length_t length, byte **response, length_t *response_length);

/* szkri_receive reads the response that is due. There is room for its MAC in
 * the set of those that were seen. */
int szkri_receive(szkr_ctx_t *ctx, byte **response, length_t *length);

#endif
