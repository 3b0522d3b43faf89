/* An HTTP response. The first byte chooses whether the request was a HEAD. */
#include "fuzz.h"

#include "http.h"
#include "token.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	szkr_response_t r;
	szkr_err_t error;
	int head_only = take_byte(&in) & 1;
	byte *bytes = malloc(in.left + 1);
	CHECK(bytes != NULL);
	if (in.left > 0)
		memcpy(bytes, in.p, in.left);
	const char *fault = szkri_http_read(bytes, (length_t)in.left, head_only, &r, &error);
	CHECK_INT(error, fault == NULL ? szkr_err_none : szkr_err_protocol);
	if (fault != NULL)
		return 0;
	CHECK(r.status >= 200 && r.status <= 599);
	for (size_t i = 0; i < r.header_count; i++) {
		CHECK(szkri_is_token(r.headers[i].name));
		for (const char *v = r.headers[i].value; *v != '\0'; v++)
			CHECK(szkri_is_text(*v));
	}
	const char *length = szkr_response_header(&r, "content-length");
	if (head_only || r.status == 204 || r.status == 304 || length == NULL)
		CHECK_INT(r.body_length, 0);
	else
		CHECK_INT(r.body_length, atol(length));
	CHECK_BYTES(r.body, in.p + in.left - r.body_length, r.body_length);
	CHECK_INT(r.body[r.body_length], 0);
	szkr_response_free(&r);
	return 0;
}
