/* net.h: a connection that the library makes, and its deadlines. */
#ifndef SZKRI_NET_H
#define SZKRI_NET_H

#include "sazukari.h"

struct szkri_net;

/* szkri_net_new returns a connection to a host that isn't open yet, NULL if
 * there is no memory. options may be NULL. */
struct szkri_net *szkri_net_new(const char *host, uint16_t port, const szkr_options_t *options);

/* szkri_net_ensure opens the connection if it is closed, and allows the time of
 * a handshake. */
int szkri_net_ensure(struct szkri_net *net);

/* szkri_net_expect_message allows the time of a message. net may be NULL. */
void szkri_net_expect_message(struct szkri_net *net);

/* szkri_net_read and szkri_net_write are callbacks of a stream. param is the
 * connection. */
slength_t szkri_net_read(byte *p, length_t length, void *param);
slength_t szkri_net_write(byte *p, length_t length, void *param);

/* szkri_net_stale returns 1 if nothing should be sent on the connection. */
int szkri_net_stale(const struct szkri_net *net);

/* szkri_net_why returns why connecting, reading or writing failed last, or NULL. */
const char *szkri_net_why(const struct szkri_net *net);

/* szkri_net_host returns the host as it was given to szkri_net_new, and the port. */
const char *szkri_net_host(const struct szkri_net *net, uint16_t *port);

void szkri_net_close(struct szkri_net *net);

/* szkri_net_free closes the connection and releases net, which may be NULL. */
void szkri_net_free(struct szkri_net *net);

#endif
