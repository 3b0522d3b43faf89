/* net.h: the connection of a context that szkr_connect made. */
#ifndef SZKRI_NET_H
#define SZKRI_NET_H

#include "context.h"

/* szkri_net_begin connects anew and begins a session: it resumes the
 * context's, or does a handshake. */
int szkri_net_begin(szkr_ctx_t *ctx);

/* szkri_net_ensure connects if the context's connection is one of szkr_connect
 * and is closed, and allows the time of a handshake. */
int szkri_net_ensure(szkr_ctx_t *ctx);

/* szkri_net_expect_message allows the time of a message. net may be NULL. */
void szkri_net_expect_message(struct szkri_net *net);

/* szkri_net_stale returns 1 if nothing should be sent on the connection. */
int szkri_net_stale(const struct szkri_net *net);

/* szkri_net_why returns why reading or writing failed last, or NULL. */
const char *szkri_net_why(const struct szkri_net *net);

/* szkri_net_host returns the host as it was given to szkr_connect, and the port. */
const char *szkri_net_host(const struct szkri_net *net, uint16_t *port);

void szkri_net_close(struct szkri_net *net);

/* szkri_net_free closes the connection and releases net, which may be NULL. */
void szkri_net_free(struct szkri_net *net);

#endif
