/* socket.h: a TCP connection with deadlines, on POSIX and on Windows. */
#ifndef SZKRI_SOCKET_H
#define SZKRI_SOCKET_H

#include "sazukari.h"

#ifdef _WIN32
#include <winsock2.h>
typedef SOCKET szkri_socket;
#define SZKRI_NO_SOCKET INVALID_SOCKET
#else
typedef int szkri_socket;
#define SZKRI_NO_SOCKET (-1)
#endif

/* A point of time, in milliseconds of a clock that is never set back. */
typedef int64_t szkri_time;

szkri_time szkri_now(void);

/* szkri_socket_connect tries the addresses of a host in turn. It returns
 * SZKRI_NO_SOCKET with a reason. */
szkri_socket szkri_socket_connect(const char *host, uint16_t port, szkri_time deadline, const char **why);

/* szkri_socket_connect_any tries addresses in turn. */
struct addrinfo;
szkri_socket szkri_socket_connect_any(const struct addrinfo *a, szkri_time deadline, const char **why);

/* These move up to length bytes, at least one, and return how many; 0 for the
 * end of the stream and -1 for a failure, with a reason. */
slength_t szkri_socket_read(szkri_socket s, byte *p, length_t length, szkri_time deadline, const char **why);
slength_t szkri_socket_write(szkri_socket s, const byte *p, length_t length, szkri_time deadline, const char **why);

/* szkri_socket_stale returns 1 if the peer has closed the connection, or has
 * sent something that nobody waits for. */
int szkri_socket_stale(szkri_socket s);

void szkri_socket_close(szkri_socket s);

#endif
