#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#ifdef __APPLE__
#define _DARWIN_C_SOURCE /* SO_NOSIGPIPE */
#endif
#endif

#include "socket.h"

#include <stdio.h>
#include <string.h>

#ifdef _WIN32

#include <ws2tcpip.h>

static int last_error(void) { return WSAGetLastError(); }
static int is_retry(int error) { return error == WSAEWOULDBLOCK || error == WSAEINTR; }
static int is_pending(int error) { return error == WSAEWOULDBLOCK; }
static int wait_once(WSAPOLLFD *p, int ms) { return WSAPoll(p, 1, ms); }
typedef WSAPOLLFD poll_fd;
typedef int io_size;

static int set_up(szkri_socket s)
{
	u_long on = 1;
	return ioctlsocket(s, (long)FIONBIO, &on) == 0 ? 0 : -1;
}

/* Windows counts these calls: the last clean-up ends the use of sockets. */
static int acquire(void)
{
	WSADATA data;
	return WSAStartup(MAKEWORD(2, 2), &data) == 0 ? 0 : -1;
}

static void release(void) { WSACleanup(); }
static void close_fd(szkri_socket s) { closesocket(s); }

szkri_time szkri_now(void) { return (szkri_time)GetTickCount64(); }

#else

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int last_error(void) { return errno; }
static int is_retry(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }
static int is_pending(int error) { return error == EINPROGRESS || error == EINTR; }
static int wait_once(struct pollfd *p, int ms) { return poll(p, 1, ms); }
typedef struct pollfd poll_fd;
typedef size_t io_size;

static int set_up(szkri_socket s)
{
	int flags = fcntl(s, F_GETFL);
	return flags >= 0 && fcntl(s, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(s, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -1;
}

static int acquire(void) { return 0; }
static void release(void) {}
static void close_fd(szkri_socket s) { close(s); }

szkri_time szkri_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (szkri_time)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* then there is SO_NOSIGPIPE, or no such signal */
#endif

/* Waits until the socket is ready. It returns 1, 0 when the time is over, -1
 * for a failure. */
static int wait_for(szkri_socket s, short events, szkri_time deadline)
{
	for (;;) {
		szkri_time left = deadline - szkri_now();
		if (left <= 0)
			return 0;
		poll_fd p = {.fd = s, .events = events};
		int n = wait_once(&p, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return 1;
		if (n < 0 && !is_retry(last_error()))
			return -1;
	}
}

static int connect_one(szkri_socket s, const struct addrinfo *a, szkri_time deadline, const char **why)
{
	*why = "the server's address can't be reached";
	if (connect(s, a->ai_addr, (socklen_t)a->ai_addrlen) == 0)
		return 0;
	if (!is_pending(last_error()))
		return -1;
	int ready = wait_for(s, POLLOUT, deadline);
	if (ready == 0)
		*why = "connecting took too long";
	if (ready <= 0)
		return -1;
	int error = 0;
	socklen_t size = sizeof error;
	if (getsockopt(s, SOL_SOCKET, SO_ERROR, (void *)&error, &size) != 0 || error != 0) {
		*why = "the server refuses connections, or its address can't be reached";
		return -1;
	}
	return 0;
}

static szkri_socket try_address(const struct addrinfo *a, szkri_time deadline, const char **why)
{
	int on = 1;
	szkri_socket s = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
	if (s == SZKRI_NO_SOCKET) {
		*why = "no socket";
		return s;
	}
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (void *)&on, sizeof on);
#ifdef SO_NOSIGPIPE
	setsockopt(s, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
	if (set_up(s) < 0 || connect_one(s, a, deadline, why) < 0) {
		close_fd(s);
		return SZKRI_NO_SOCKET;
	}
	return s;
}

/* How long to wait for an address: the time that is left, shared with those after
 * it. One that doesn't respond must not take it all. */
static szkri_time share_of(const struct addrinfo *a, szkri_time deadline)
{
	szkri_time now = szkri_now();
	int addresses = 0;
	for (; a != NULL; a = a->ai_next)
		addresses++;
	return now + (deadline - now) / addresses;
}

szkri_socket szkri_socket_connect_any(const struct addrinfo *a, szkri_time deadline, const char **why)
{
	szkri_socket s = SZKRI_NO_SOCKET;
	for (; a != NULL && s == SZKRI_NO_SOCKET; a = a->ai_next)
		s = try_address(a, share_of(a, deadline), why);
	return s;
}

szkri_socket szkri_socket_connect(const char *host, uint16_t port, szkri_time deadline, const char **why)
{
	struct addrinfo hints, *found = NULL;
	char service[8];
	szkri_socket s = SZKRI_NO_SOCKET;
	if (acquire() < 0) {
		*why = "no sockets";
		return s;
	}
	memset(&hints, 0, sizeof hints);
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	snprintf(service, sizeof service, "%u", (unsigned)port);
	*why = "the server's name has no address";
	if (getaddrinfo(host, service, &hints, &found) == 0) {
		s = szkri_socket_connect_any(found, deadline, why);
		freeaddrinfo(found);
	}
	if (s == SZKRI_NO_SOCKET)
		release();
	return s;
}

slength_t szkri_socket_read(szkri_socket s, byte *p, length_t length, szkri_time deadline, const char **why)
{
	for (;;) {
		slength_t n = (slength_t)recv(s, (void *)p, (io_size)length, 0);
		if (n > 0)
			return n;
		if (n == 0) {
			*why = "the server closed the connection";
			return 0;
		}
		if (!is_retry(last_error())) {
			*why = "the connection failed while reading";
			return -1;
		}
		int ready = wait_for(s, POLLIN, deadline);
		if (ready <= 0) {
			*why = ready == 0 ? "the server took too long" : "the connection failed while reading";
			return -1;
		}
	}
}

slength_t szkri_socket_write(szkri_socket s, const byte *p, length_t length, szkri_time deadline, const char **why)
{
	for (;;) {
		slength_t n = (slength_t)send(s, (const void *)p, (io_size)length, MSG_NOSIGNAL);
		if (n > 0)
			return n;
		if (n < 0 && !is_retry(last_error())) {
			*why = "the connection failed while writing";
			return -1;
		}
		int ready = wait_for(s, POLLOUT, deadline);
		if (ready <= 0) {
			*why = ready == 0 ? "the server took too long to read" : "the connection failed while writing";
			return -1;
		}
	}
}

int szkri_socket_stale(szkri_socket s)
{
	byte b;
	slength_t n = (slength_t)recv(s, (void *)&b, 1, MSG_PEEK);
	return n >= 0 || !is_retry(last_error());
}

void szkri_socket_close(szkri_socket s)
{
	close_fd(s);
	release();
}
