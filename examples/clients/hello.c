/* ./hello 127.0.0.1 6363: built with `cc hello.c $(pkg-config --cflags --libs sazukari)` */
#include <sazukari.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	char pem[4096];
	szkr_srvkey_t key;
	szkr_request_t request = {.path = "/"};
	szkr_response_t page;
	byte *response;
	length_t length;

	FILE *f = fopen("server.key.pub", "rb");
	if (argc != 3 || f == NULL || szkr_key_from_pem(pem, fread(pem, 1, sizeof pem, f), &key) < 0)
		return fprintf(stderr, "usage: hello HOST PORT, where server.key.pub is\n"), 2;
	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	if (szkr_connect(ctx, argv[1], (uint16_t)atoi(argv[2]), key, NULL) < 0 ||
	    szkr_send_message(ctx, (byte *)"hello", 5, &response, &length) < 0 || szkr_request(ctx, &request, &page) < 0)
		return fprintf(stderr, "%s: %s\n", szkr_strerror(szkr_last_error(ctx)), szkr_last_error_detail(ctx)), 1;
	printf("%.*s\n%d %s", (int)length, (char *)response, page.status, (char *)page.body);
	free(response);
	szkr_response_free(&page);
	szkr_destroy_ctx(ctx);
	free(ctx);
	fclose(f);
	return 0;
}
