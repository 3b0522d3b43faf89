/* connect.h: sessions on connections that szkr_connect makes. */
#ifndef SZKRI_CONNECT_H
#define SZKRI_CONNECT_H

#include "context.h"

/* szkri_connect connects anew and begins a session: it resumes the context's,
 * or does a handshake. */
int szkri_connect(szkr_ctx_t *ctx);

#endif
