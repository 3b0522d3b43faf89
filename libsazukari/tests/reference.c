/*
 * A program for the interface of the reference's library: it uses nothing else.
 * The tests compile it against this library's header, and link it with a stub
 * that has the old names without versions.
 *
 *   reference HOST PORT KEYFILE sizes              messages of 22 sizes, and others
 *   reference HOST PORT KEYFILE handshake ERROR    a handshake that ends with ERROR
 *   reference HOST PORT KEYFILE send TEXT ERROR    a message whose response ends with ERROR
 *   reference HOST PORT KEYFILE save FILE          a handshake; the session goes to FILE
 *   reference HOST PORT KEYFILE resume FILE ERROR  a resumption in a fresh context, twice if
 *                                                  ERROR is none; after handshake_needed a
 *                                                  handshake on the same connection
 *   reference HOST PORT KEYFILE same               resumptions in the same context
 *
 * The server sends back what it gets, but for "empty".
 */
#include <syslog.h>

#include <sazukari.h>

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const names[] = {"none",          "unknown",  "incompatible_versions", "service_unavailable", "unknown_errcode",
                                    "invalid_state", "protocol", "internal",              "io",                  "handshake_needed",
                                    "server_blacklisted", "message_too_long", "response_too_long"};

static const char *host, *port, *keyfile;
static int fd = -1;

static void fail(const char *what)
{
	fprintf(stderr, "failed: %s\n", what);
	exit(1);
}

static slength_t on_read(byte *buffer, length_t length, void *param)
{
	return (slength_t)recv(*(int *)param, buffer, length, MSG_WAITALL);
}

static slength_t on_write(byte *buffer, length_t length, void *param)
{
	return (slength_t)send(*(int *)param, buffer, length, MSG_NOSIGNAL);
}

static void reconnect(void)
{
	struct addrinfo hints, *a;
	memset(&hints, 0, sizeof hints);
	hints.ai_socktype = SOCK_STREAM;
	if (fd >= 0)
		close(fd);
	if (getaddrinfo(host, port, &hints, &a) != 0)
		fail("address");
	fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
	if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) != 0)
		fail("connect");
	freeaddrinfo(a);
}

static szkr_ctx_t *new_context(void)
{
	szkr_srvkey_t key;
	szkr_iostream_t stream;
	szkr_ctx_t *ctx = malloc(szkr_get_ctxsize());
	FILE *f = fopen(keyfile, "rb");
	if (f == NULL || fread(key.modulus, 256, 1, f) != 1 || fread(key.exponent, 4, 1, f) != 1)
		fail("key file");
	fclose(f);
	stream.read_callback = on_read;
	stream.write_callback = on_write;
	stream.cb_param = &fd;
	if (szkr_new_ctx(ctx, stream, key) < 0)
		fail("szkr_new_ctx");
	reconnect();
	return ctx;
}

static void free_context(szkr_ctx_t *ctx)
{
	szkr_destroy_ctx(ctx);
	free(ctx);
}

static void expect(szkr_ctx_t *ctx, const char *what, int result, const char *error)
{
	const char *got = result < 0 ? names[szkr_last_error(ctx)] : "none";
	if (strcmp(got, error) != 0) {
		fprintf(stderr, "%s: %s, not %s\n", what, got, error);
		exit(1);
	}
}

static void round_trip(szkr_ctx_t *ctx, length_t size)
{
	/* The reference's programs leave room behind a message. */
	byte *message = malloc(size + SAZUKARI_MIN_BUFFER_SENTINEL), *response = NULL;
	length_t i, length = 0;
	for (i = 0; i < size; i++)
		message[i] = (byte)(i * 31 + i / 251 + size);
	expect(ctx, "szkr_send_message", szkr_send_message(ctx, message, size, &response, &length), "none");
	if (length != size || memcmp(message, response, size) != 0)
		fail("the response isn't the message");
	free(response);
	free(message);
}

static void save(szkr_ctx_t *ctx, byte *sdata)
{
	length_t length = szkr_get_session_data_size();
	expect(ctx, "szkr_get_session_data", szkr_get_session_data(ctx, sdata, &length), "none");
	if (length != 48)
		fail("a session isn't 48 bytes");
}

static void file(const char *name, const char *mode, byte *sdata)
{
	FILE *f = fopen(name, mode);
	if (f == NULL || (*mode == 'w' ? fwrite(sdata, 48, 1, f) : fread(sdata, 48, 1, f)) != 1)
		fail(name);
	fclose(f);
}

static void sizes(void)
{
	static const length_t all[] = {1,    2,    15,    16,    17,    31,    32,    33,     47,     48,     100,
	                               1000, 4016, 4017,  8192,  16000, 65536, 99999, 262144, 524289, 1048575, 1048576};
	byte *response, *big;
	length_t length;
	size_t i;
	szkr_ctx_t *ctx = new_context();
	expect(ctx, "a message before the handshake", szkr_send_message(ctx, (byte *)"early", 5, &response, &length), "invalid_state");
	expect(ctx, "szkr_do_handshake", szkr_do_handshake(ctx), "none");
	for (i = 0; i < sizeof all / sizeof *all; i++)
		round_trip(ctx, all[i]);
	expect(ctx, "an empty response", szkr_send_message(ctx, (byte *)"empty", 5, &response, &length), "none");
	if (length != 0)
		fail("the empty response isn't empty");
	free(response);
	big = calloc(1, SAZUKARI_MESSAGE_HARD_LIMIT + 1);
	expect(ctx, "a message over 1 MiB", szkr_send_message(ctx, big, SAZUKARI_MESSAGE_HARD_LIMIT + 1, &response, &length), "message_too_long");
	free(big);
	round_trip(ctx, 10);
	printf("%d sizes\n", (int)(sizeof all / sizeof *all));
	free_context(ctx);
}

static void resume(const char *name, const char *error)
{
	byte sdata[48];
	int i, rounds = strcmp(error, "none") == 0 ? 2 : 1;
	for (i = 0; i < rounds; i++) {
		szkr_ctx_t *ctx = new_context();
		file(name, "rb", sdata);
		expect(ctx, "szkr_resume_session", szkr_resume_session(ctx, sdata), error);
		if (strcmp(error, "handshake_needed") == 0) {
			expect(ctx, "skzr_reset_ctx", skzr_reset_ctx(ctx), "none");
			expect(ctx, "a handshake on the same connection", szkr_do_handshake(ctx), "none");
		}
		if (rounds == 2 || strcmp(error, "handshake_needed") == 0) {
			round_trip(ctx, 100);
			save(ctx, sdata);
			file(name, "wb", sdata);
		}
		free_context(ctx);
	}
}

static void same(void)
{
	byte sdata[48];
	int i;
	szkr_ctx_t *ctx = new_context();
	expect(ctx, "szkr_do_handshake", szkr_do_handshake(ctx), "none");
	for (i = 0; i < 3; i++) {
		round_trip(ctx, 50);
		save(ctx, sdata);
		reconnect();
		expect(ctx, "szkr_resume_session", szkr_resume_session(ctx, sdata), "none");
	}
	round_trip(ctx, 50);
	free_context(ctx);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 4 ? argv[4] : "";
	byte sdata[48], *response;
	length_t length;
	szkr_ctx_t *ctx;
	if (argc < 5 || szkr_init() != 0)
		fail("usage");
	host = argv[1];
	port = argv[2];
	keyfile = argv[3];
	if (strcmp(mode, "sizes") == 0) {
		sizes();
	} else if (strcmp(mode, "handshake") == 0 && argc == 6) {
		ctx = new_context();
		expect(ctx, "szkr_do_handshake", szkr_do_handshake(ctx), argv[5]);
		free_context(ctx);
	} else if (strcmp(mode, "send") == 0 && argc == 7) {
		ctx = new_context();
		expect(ctx, "szkr_do_handshake", szkr_do_handshake(ctx), "none");
		expect(ctx, "szkr_send_message", szkr_send_message(ctx, (byte *)argv[5], strlen(argv[5]), &response, &length), argv[6]);
		free_context(ctx);
	} else if (strcmp(mode, "save") == 0 && argc == 6) {
		ctx = new_context();
		expect(ctx, "szkr_do_handshake", szkr_do_handshake(ctx), "none");
		round_trip(ctx, 20);
		save(ctx, sdata);
		file(argv[5], "wb", sdata);
		free_context(ctx);
	} else if (strcmp(mode, "resume") == 0 && argc == 7) {
		resume(argv[5], argv[6]);
	} else if (strcmp(mode, "same") == 0) {
		same();
	} else {
		fail("usage");
	}
	szkr_destroy();
	puts("ok");
	return 0;
}
