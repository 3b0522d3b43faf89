/* szkr_connect: deadlines, and connections that fail between messages. The
 * server is the peer, on a socket, in a thread. */
#define _POSIX_C_SOURCE 200809L

#include "test.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"
#include "socket.h"
#include "vectors.h"

enum plan {
	SERVE,            /* until the client closes */
	CLOSE_AFTER_ONE,  /* message, after the response */
	CLOSE_ON_MESSAGE, /* without a response */
	CLOSE_AT_ONCE,    /* on the first packet */
	STALL             /* on the first packet */
};

struct server {
	struct peer peer;
	int listener;
	uint16_t port;
	const enum plan *plans; /* one a connection */
	int connections;
	atomic_int served;  /* connections that have ended */
	int rstors, syns;
	pthread_t thread;
};

static int read_all(int fd, byte *p, size_t size)
{
	while (size > 0) {
		ssize_t n = recv(fd, p, size, 0);
		if (n <= 0)
			return -1;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int read_packet(int fd, byte *p, size_t *size)
{
	if (read_all(fd, p, 6) < 0)
		return -1;
	*size = p[5] == SZKRI_SYN ? sizeof(struct szkri_syn) : p[5] == SZKRI_ACK ? sizeof(struct szkri_ack) : sizeof(struct szkri_msg);
	if (read_all(fd, p + 6, *size - 6) < 0)
		return -1;
	if (p[5] == SZKRI_SYN || p[5] == SZKRI_ACK)
		return 0;
	size_t n = szkri_padded(szkri_get_length(p + 6));
	CHECK(*size + n <= 4096);
	*size += n;
	return read_all(fd, p + sizeof(struct szkri_msg), n);
}

/* Waits for the client to close. */
static void drain(int fd)
{
	byte b;
	while (recv(fd, &b, 1, 0) > 0)
		;
}

static void serve(struct server *s, int fd, enum plan plan)
{
	byte packet[4096], out[4096];
	size_t size;
	szkr_iostream_t stream = peer_stream(&s->peer);
	peer_reconnect(&s->peer);
	while (read_packet(fd, packet, &size) == 0) {
		s->rstors += packet[5] == SZKRI_RSTOR;
		s->syns += packet[5] == SZKRI_SYN;
		if (plan == CLOSE_AT_ONCE || (plan == CLOSE_ON_MESSAGE && packet[5] == SZKRI_MSG))
			return;
		if (plan == STALL) {
			drain(fd);
			return;
		}
		CHECK_INT(stream.write_callback(packet, (length_t)size, &s->peer), size);
		slength_t n = stream.read_callback(out, sizeof out, &s->peer);
		CHECK_INT(send(fd, out, (size_t)n, 0), n);
		if (plan == CLOSE_AFTER_ONE && packet[5] == SZKRI_MSG)
			return;
	}
}

static void *run(void *param)
{
	struct server *s = param;
	for (int i = 0; i < s->connections; i++) {
		int fd = accept(s->listener, NULL, NULL);
		CHECK(fd >= 0);
		serve(s, fd, s->plans[i]);
		close(fd);
		atomic_fetch_add(&s->served, 1);
	}
	return NULL;
}

static int listen_somewhere(uint16_t *port)
{
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void start(struct server *s, const enum plan *plans, int connections)
{
	memset(s, 0, sizeof *s);
	peer_init(&s->peer);
	s->listener = listen_somewhere(&s->port);
	s->plans = plans;
	s->connections = connections;
	atomic_init(&s->served, 0);
	CHECK_INT(pthread_create(&s->thread, NULL, run, s), 0);
}

static void stop(struct server *s)
{
	CHECK_INT(pthread_join(s->thread, NULL), 0);
	close(s->listener);
	peer_free(&s->peer);
}

/* Waits until the server has ended a connection, so that the client can see it. */
static void await_served(struct server *s, int count)
{
	struct timespec ms = {0, 1000000};
	while (atomic_load(&s->served) < count)
		nanosleep(&ms, NULL);
}

static szkr_ctx_t *new_memory(void)
{
	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	CHECK(ctx != NULL);
	memset(ctx, 0xA5, (size_t)szkr_get_ctxsize());
	return ctx;
}

static void it_connects_and_goes_on(void)
{
	static const enum plan plans[] = {SERVE};
	struct server s;
	start(&s, plans, 1);
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	for (int i = 0; i < 10; i++)
		echo(ctx, "over a socket");
	context_free(ctx);
	stop(&s);
	CHECK_INT(s.syns, 1);
	CHECK_INT(s.rstors, 0);
}

/* A server closes idle connections: the next message goes over a new one, under
 * the resumed session. */
static void a_closed_connection_is_replaced_before_a_message(void)
{
	static const enum plan plans[] = {CLOSE_AFTER_ONE, CLOSE_AFTER_ONE, SERVE};
	struct server s;
	byte saved[48];
	start(&s, plans, 3);
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	for (int i = 0; i < 3; i++) {
		await_served(&s, i);
		echo(ctx, "whatever happened between");
	}
	CHECK_OK(ctx, szkr_get_session_data(ctx, saved, NULL));
	CHECK_BYTES(saved, s.peer.token, 16);
	context_free(ctx);
	stop(&s);
	CHECK_INT(s.syns, 1);
	CHECK_INT(s.rstors, 2);
}

/* A message that may have arrived isn't sent again. */
static void a_message_that_was_sent_fails_and_the_next_one_works(void)
{
	static const enum plan plans[] = {CLOSE_ON_MESSAGE, SERVE};
	struct server s;
	byte message = 'm', *response;
	length_t length;
	start(&s, plans, 2);
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	CHECK_ERROR(ctx, szkr_send_message(ctx, &message, 1, &response, &length), szkr_err_io);
	echo(ctx, "the next one");
	context_free(ctx);
	stop(&s);
	CHECK_INT(s.syns, 1);
	CHECK_INT(s.rstors, 1);
}

static void a_used_up_key_is_replaced(void)
{
	static const enum plan plans[] = {SERVE, SERVE};
	struct server s;
	start(&s, plans, 2);
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	CHECK_OK(ctx, szkr_set_max_messages(ctx, 2));
	for (int i = 0; i < 4; i++)
		echo(ctx, "two a key");
	context_free(ctx);
	stop(&s);
	CHECK_INT(s.rstors, 1);
}

static void a_session_is_resumed_or_replaced(void)
{
	static const enum plan plans[] = {SERVE, SERVE, SERVE};
	struct server s;
	byte saved[48];
	start(&s, plans, 3);
	szkr_options_t options = {0};
	for (int i = 0; i < 3; i++) {
		szkr_ctx_t *ctx = new_memory();
		CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), &options));
		CHECK_INT(szkr_last_error(ctx), szkr_err_none);
		CHECK_INT(szkr_key_ready(ctx), i != 1); /* resuming takes no RSA key */
		echo(ctx, "resumed");
		CHECK_OK(ctx, szkr_get_session_data(ctx, saved, NULL));
		context_free(ctx);
		options.session = saved;
		if (i == 1)
			saved[0] ^= 1; /* a token that the server doesn't know */
	}
	stop(&s);
	CHECK_INT(s.syns, 2);
	CHECK_INT(s.rstors, 2);
}

/* A server that can't resume, and closes instead of saying so, doesn't keep
 * the client out for ever. */
static void after_three_failed_resumptions_comes_a_handshake(void)
{
	static const enum plan plans[] = {CLOSE_ON_MESSAGE, CLOSE_AT_ONCE, CLOSE_AT_ONCE, CLOSE_AT_ONCE, SERVE};
	struct server s;
	byte message = 'm', *response;
	length_t length;
	start(&s, plans, 5);
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	for (int i = 0; i < 4; i++)
		CHECK_ERROR(ctx, szkr_send_message(ctx, &message, 1, &response, &length), szkr_err_io);
	echo(ctx, "under a new session");
	context_free(ctx);
	stop(&s);
	CHECK_INT(s.rstors, 3);
	CHECK_INT(s.syns, 2);
}

static void explicit_calls_work_too(void)
{
	static const enum plan plans[] = {SERVE, SERVE, SERVE};
	struct server s;
	byte saved[48];
	start(&s, plans, 3);
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	CHECK_OK(ctx, szkr_get_session_data(ctx, saved, NULL));
	CHECK_OK(ctx, szkr_resume_session(ctx, saved)); /* on a connection of its own */
	echo(ctx, "resumed");
	CHECK_OK(ctx, szkr_reset_ctx(ctx));
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	echo(ctx, "begun anew");
	memset(saved, 1, sizeof saved);
	context_free(ctx);
	stop(&s);
	CHECK_INT(s.rstors, 1);
	CHECK_INT(s.syns, 2);
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void waits_have_deadlines(void)
{
	static const enum plan stall[] = {STALL};
	struct server s;
	szkr_options_t options = {.connect_ms = 5000, .handshake_ms = 100, .message_ms = 100};
	start(&s, stall, 1);
	szkr_ctx_t *ctx = new_memory();
	byte session[48] = {1};
	options.session = session; /* no RSA key is made, which takes its time */
	int64_t began = now_ms();
	CHECK_ERROR(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), &options), szkr_err_io);
	CHECK(strstr(szkr_last_error_detail(ctx), "too long") != NULL);
	CHECK(now_ms() - began >= 100);
	context_free(ctx);
	stop(&s);
}

static void a_response_has_a_deadline(void)
{
	static const enum plan plans[] = {SERVE};
	struct server s;
	szkr_options_t options = {.message_ms = 100};
	byte message = 'm', *response;
	length_t length;
	start(&s, plans, 1);
	s.peer.alter = cut_packet;
	s.peer.alter_type = SZKRI_MSG;
	s.peer.alter_at = 50; /* the rest never comes */
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), &options));
	CHECK_ERROR(ctx, szkr_send_message(ctx, &message, 1, &response, &length), szkr_err_io);
	CHECK(strstr(szkr_last_error_detail(ctx), "too long") != NULL);
	context_free(ctx);
	stop(&s);
}

static struct addrinfo loopback(struct sockaddr_in *a, uint16_t port, struct addrinfo *next)
{
	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a->sin_port = htons(port);
	return (struct addrinfo){.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_addr = (struct sockaddr *)a, .ai_addrlen = sizeof *a, .ai_next = next};
}

/* The first address takes no more connections, and doesn't respond. */
static void the_next_address_gets_its_share_of_the_time(void)
{
	enum { enough = 16 };
	uint16_t silent_port, port;
	struct sockaddr_in a[2];
	const char *why = "";
	int waiting[enough], silent = listen_somewhere(&silent_port), listener = listen_somewhere(&port);
	CHECK(listen(silent, 0) == 0);
	struct addrinfo second = loopback(&a[1], port, NULL), first = loopback(&a[0], silent_port, &second);
	for (int i = 0; i < enough; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(waiting[i], first.ai_addr, first.ai_addrlen);
	}
	szkri_socket s = szkri_socket_connect_any(&first, szkri_now() + 1000, &why);
	CHECK(s != SZKRI_NO_SOCKET);
	szkri_socket_close(s);
	first.ai_next = NULL;
	CHECK(szkri_socket_connect_any(&first, szkri_now() + 50, &why) == SZKRI_NO_SOCKET);
	CHECK(strstr(why, "too long") != NULL);
	for (int i = 0; i < enough; i++)
		close(waiting[i]);
	close(silent);
	close(listener);
}

static void what_cannot_connect_says_why(void)
{
	uint16_t port;
	szkr_srvkey_t key = vector_pinned_key();
	szkr_ctx_t *ctx = new_memory();
	byte session[48] = {1};
	szkr_options_t options = {.session = session, .connect_ms = 2000};
	int fd = listen_somewhere(&port);
	close(fd);
	CHECK_ERROR(ctx, szkr_connect(ctx, "127.0.0.1", port, key, &options), szkr_err_io);
	CHECK(strstr(szkr_last_error_detail(ctx), "refuses") != NULL);
	CHECK_ERROR(ctx, szkr_do_handshake(ctx), szkr_err_invalid_state); /* it holds nothing but its error */
	free(ctx);
	ctx = new_memory();
	CHECK_ERROR(ctx, szkr_connect(ctx, "no.such.host.invalid", port, key, &options), szkr_err_io);
	CHECK_ERROR(ctx, szkr_connect(ctx, NULL, port, key, NULL), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_connect(ctx, "", port, key, NULL), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_connect(ctx, "localhost", 0, key, NULL), szkr_err_invalid_state);
	key.exponent[3] = 0;
	CHECK_ERROR(ctx, szkr_connect(ctx, "localhost", port, key, NULL), szkr_err_invalid_state);
	context_free(ctx);
}

static void a_request_names_the_host(void)
{
	static const enum plan plans[] = {SERVE};
	struct server s;
	szkr_response_t r;
	char want[64];
	start(&s, plans, 1);
	s.peer.response = (const byte *)"HTTP/1.1 204 No Content\r\n\r\n";
	s.peer.response_length = 27;
	szkr_ctx_t *ctx = new_memory();
	CHECK_OK(ctx, szkr_connect(ctx, "127.0.0.1", s.port, vector_pinned_key(), NULL));
	CHECK_OK(ctx, szkr_request(ctx, &(szkr_request_t){.path = "/"}, &r));
	CHECK_INT(r.status, 204);
	szkr_response_free(&r);
	context_free(ctx);
	stop(&s);
	snprintf(want, sizeof want, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", (unsigned)s.port);
	CHECK_BYTES(s.peer.request, want, strlen(want));
}

void test_net(void)
{
	it_connects_and_goes_on();
	a_closed_connection_is_replaced_before_a_message();
	a_message_that_was_sent_fails_and_the_next_one_works();
	a_used_up_key_is_replaced();
	a_session_is_resumed_or_replaced();
	after_three_failed_resumptions_comes_a_handshake();
	explicit_calls_work_too();
	waits_have_deadlines();
	a_response_has_a_deadline();
	the_next_address_gets_its_share_of_the_time();
	what_cannot_connect_says_why();
	a_request_names_the_host();
}
