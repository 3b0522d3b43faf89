/* The program that `sazukari conformance` tests this library with:
 *
 *   conformance HOST PORT KEY SESSION TIMEOUT
 *
 * Messages and responses come and go after their lengths. */
#include <sazukari.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static size_t load(const char *name, void *data, size_t size)
{
	FILE *f = fopen(name, "rb");
	if (f == NULL)
		return 0;
	size_t n = fread(data, 1, size, f);
	fclose(f);
	return n;
}

static void save(szkr_ctx_t *ctx, const char *name)
{
	byte session[SAZUKARI_SESSION_BYTES];
	if (szkr_get_session_data(ctx, session, NULL) < 0)
		return;
	FILE *f = fopen(name, "wb");
	if (f == NULL || fwrite(session, sizeof session, 1, f) != 1 || fclose(f) != 0)
		perror(name);
}

/* Sends each message, and returns the exit code. */
static int converse(szkr_ctx_t *ctx, char **argv, szkr_srvkey_t key, const szkr_options_t *options, int *connected)
{
	static byte message[SAZUKARI_MESSAGE_HARD_LIMIT + 1];
	byte size[4];

	while (fread(size, 1, 4, stdin) == 4) {
		byte *response;
		length_t length = (length_t)size[0] << 24 | (length_t)size[1] << 16 | (length_t)size[2] << 8 | size[3];
		if (length > sizeof message || fread(message, 1, length, stdin) != length)
			return szkr_err_unknown;
		if (!*connected && szkr_connect(ctx, argv[1], (uint16_t)atoi(argv[2]), key, options) < 0)
			return (int)szkr_last_error(ctx);
		*connected = 1;
		int result = szkr_send_message(ctx, message, length, &response, &length);
		szkr_err_t error = szkr_last_error(ctx);
		save(ctx, argv[4]);
		if (result < 0)
			return (int)error;
		for (int i = 0; i < 4; i++)
			putchar((int)(length >> (24 - 8 * i) & 0xFF));
		fwrite(response, 1, length, stdout);
		fflush(stdout);
		free(response);
	}
	return szkr_err_none;
}

int main(int argc, char **argv)
{
	char pem[4096];
	byte session[SAZUKARI_SESSION_BYTES];
	szkr_srvkey_t key;
	szkr_options_t options = {0};

	if (argc != 6 || szkr_key_from_pem(pem, load(argv[3], pem, sizeof pem), &key) < 0) {
		fprintf(stderr, "usage: conformance HOST PORT KEY SESSION TIMEOUT\n");
		return szkr_err_unknown;
	}
	umask(077);
	options.handshake_ms = options.message_ms = (uint32_t)atoi(argv[5]);
	if (load(argv[4], session, sizeof session) == sizeof session)
		options.session = session;
	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	int connected = 0;
	int code = converse(ctx, argv, key, &options, &connected);
	if (code != 0)
		fprintf(stderr, "%s\n", szkr_strerror((szkr_err_t)code));
	if (connected)
		szkr_destroy_ctx(ctx);
	free(ctx);
	return code;
}
