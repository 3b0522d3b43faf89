#include "net.h"

#include <stdlib.h>
#include <string.h>

#include "socket.h"

enum {
	default_connect_ms = 10000,
	default_handshake_ms = 15000,
	default_message_ms = 60000
};

struct szkri_net {
	szkri_socket socket;
	szkri_time deadline; /* of what is read and written now */
	const char *why;
	uint32_t connect_ms, handshake_ms, message_ms;
	uint16_t port;
	char host[]; /* ends with a 0 */
};

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

struct szkri_net *szkri_net_new(const char *host, uint16_t port, const szkr_options_t *options)
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

slength_t szkri_net_read(byte *p, length_t length, void *param)
{
	struct szkri_net *net = param;
	return szkri_socket_read(net->socket, p, length, net->deadline, &net->why);
}

slength_t szkri_net_write(byte *p, length_t length, void *param)
{
	struct szkri_net *net = param;
	return szkri_socket_write(net->socket, p, length, net->deadline, &net->why);
}

int szkri_net_ensure(struct szkri_net *net)
{
	if (net->socket == SZKRI_NO_SOCKET) {
		net->socket = szkri_socket_connect(net->host, net->port, szkri_now() + net->connect_ms, &net->why);
		if (net->socket == SZKRI_NO_SOCKET)
			return -1;
	}
	net->deadline = szkri_now() + net->handshake_ms;
	return 0;
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
