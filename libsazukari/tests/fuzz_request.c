/* An HTTP request of strings that zeros divide: method, path, host, up to 8
 * fields, and the body. What is written must be that request and no other. */
#include "fuzz.h"

#include "http.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const char *take_text(char **p, const char *end)
{
	if (*p >= end)
		return "";
	const char *text = *p;
	*p += strlen(text) + 1;
	return text;
}

static size_t lines(const byte *p, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < size; i++)
		n += p[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *p = text, *end = text + size;
	szkr_header_t headers[8];
	szkr_request_t r = {0};
	const char *reason;
	szkr_err_t error;
	length_t written;
	CHECK(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	r.method = take_text(&p, end);
	r.path = take_text(&p, end);
	r.host = take_text(&p, end);
	if (*r.method == '\0')
		r.method = NULL;
	if (*r.host == '\0')
		r.host = NULL;
	r.headers = headers;
	while (r.header_count < 8 && p < end && *p != '\0') {
		headers[r.header_count].name = take_text(&p, end);
		headers[r.header_count++].value = take_text(&p, end);
	}
	if (p < end) {
		p++;
		r.body = p;
		r.body_length = p < end ? (size_t)(end - p) : 0;
	}
	byte *bytes = szkri_http_write(&r, "localhost", 0, &written, &error, &reason);
	if (bytes == NULL) {
		CHECK(error != szkr_err_none && reason != NULL);
	} else {
		CHECK(written >= r.body_length);
		size_t head = written - r.body_length;
		CHECK(head >= 4 && memcmp(bytes + head - 4, "\r\n\r\n", 4) == 0);
		size_t n = lines(bytes, head);
		CHECK(n == 3 + r.header_count || n == 4 + r.header_count); /* perhaps Content-Length */
		CHECK(memchr(bytes, '\0', head) == NULL);
		if (r.body_length > 0)
			CHECK_BYTES(bytes + head, r.body, r.body_length);
	}
	free(bytes);
	free(text);
	return 0;
}
