/* Sends an HTTP request to a server of Megaki, and prints the response.
 *
 *   get HOST PORT KEYFILE PATH [SESSIONFILE]
 *
 * KEYFILE is server.key.pub. With SESSIONFILE the session is resumed the next
 * time, which saves a handshake; the file is a secret. */
#include <sazukari.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int load(const char *name, void *data, size_t size)
{
	FILE *f = fopen(name, "rb");
	if (f == NULL)
		return 0;
	int n = (int)fread(data, 1, size, f);
	fclose(f);
	return n;
}

int main(int argc, char **argv)
{
	char pem[4096];
	byte session[SAZUKARI_SESSION_BYTES];
	szkr_srvkey_t key;
	szkr_options_t options = {0};
	szkr_request_t request = {0};
	szkr_response_t response;

	if (argc < 5) {
		fprintf(stderr, "usage: get HOST PORT KEYFILE PATH [SESSIONFILE]\n");
		return 2;
	}
	if (szkr_key_from_pem(pem, (size_t)load(argv[3], pem, sizeof pem), &key) < 0) {
		fprintf(stderr, "%s: no public key\n", argv[3]);
		return 1;
	}
	if (argc > 5 && load(argv[5], session, sizeof session) == sizeof session)
		options.session = session;

	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	request.path = argv[4];
	if (szkr_connect(ctx, argv[1], (uint16_t)atoi(argv[2]), key, &options) < 0 || szkr_request(ctx, &request, &response) < 0) {
		fprintf(stderr, "%s: %s\n", szkr_strerror(szkr_last_error(ctx)), szkr_last_error_detail(ctx));
		return 1;
	}
	printf("%d\n", response.status);
	fwrite(response.body, 1, response.body_length, stdout);
	szkr_response_free(&response);

	if (argc > 5 && szkr_get_session_data(ctx, session, NULL) == 0) {
		umask(077);
		FILE *f = fopen(argv[5], "wb");
		if (f == NULL || fwrite(session, sizeof session, 1, f) != 1 || fclose(f) != 0)
			perror(argv[5]);
	}
	szkr_destroy_ctx(ctx);
	free(ctx);
	return 0;
}
