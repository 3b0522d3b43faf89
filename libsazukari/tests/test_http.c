/* HTTP requests as they are written, responses as they are read. */
#include "test.h"

#include "http.h"
#include "peer.h"
#include "vectors.h"

static void written(const szkr_request_t *r, const char *host, uint16_t port, const char *want)
{
	length_t size;
	szkr_err_t error;
	const char *reason;
	byte *bytes = szkri_http_write(r, host, port, &size, &error, &reason);
	CHECK(bytes != NULL);
	CHECK_INT(size, strlen(want));
	CHECK_BYTES(bytes, want, size);
	free(bytes);
}

static void requests_are_written(void)
{
	szkr_header_t headers[] = {{"Accept", "text/html"}, {"X-Empty", ""}};
	szkr_request_t get = {.path = "/a?b=c"};
	written(&get, "localhost", 0, "GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n");
	written(&get, "example.org", 6363, "GET /a?b=c HTTP/1.1\r\nHost: example.org:6363\r\n\r\n");
	written(&get, "::1", 6363, "GET /a?b=c HTTP/1.1\r\nHost: [::1]:6363\r\n\r\n");
	szkr_request_t post = {.path = "/", .host = "example.org", .headers = headers, .header_count = 2, .body = "a=b", .body_length = 3};
	written(&post, "other", 1, "POST / HTTP/1.1\r\nHost: example.org\r\nAccept: text/html\r\nX-Empty: \r\nContent-Length: 3\r\n\r\na=b");
	szkr_request_t put = {.method = "PUT", .path = "/x"};
	written(&put, "h", 0, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
	szkr_request_t nothing = {.path = "/", .body = "", .body_length = 0};
	written(&nothing, "h", 0, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
}

static void refused(const szkr_request_t *r, szkr_err_t want)
{
	length_t size;
	szkr_err_t error;
	const char *reason = NULL;
	CHECK(szkri_http_write(r, "localhost", 0, &size, &error, &reason) == NULL);
	CHECK_INT(error, want);
	CHECK(reason != NULL);
}

/* What would make another request, or two, of it. */
static void no_request_can_be_smuggled(void)
{
	static const char *const paths[] = {NULL, "", "a", "http://h/", "/a b", "/a\r\nX: y", "/a\n", "/\x7f", "/\xc3\xa4", "/a#b", "*"};
	static const char *const methods[] = {"", "GET /", "G\r\nET", "GE:T", "CONNECT", "G\xc3T"};
	static const char *const hosts[] = {"", "a b", "a\r\nX: y", "a/b", "u@h", "a,b", "a\tb"};
	static const szkr_header_t headers[] = {{"Host", "h"}, {"content-length", "1"}, {"Transfer-Encoding", "chunked"}, {"A b", "c"}, {"", "c"},
	                                        {"A", "b\r\nC: d"}, {"A", "b\n"}, {"A", "\x7f"}, {"A:", "b"}, {NULL, "b"}, {"A", NULL}, {"A\r\nB", "c"}};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		refused(&(szkr_request_t){.path = paths[i]}, szkr_err_invalid_state);
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		refused(&(szkr_request_t){.path = "/", .method = methods[i]}, szkr_err_invalid_state);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		refused(&(szkr_request_t){.path = "/", .host = hosts[i]}, szkr_err_invalid_state);
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		refused(&(szkr_request_t){.path = "/", .headers = &headers[i], .header_count = 1}, szkr_err_invalid_state);
	refused(&(szkr_request_t){.path = "/", .header_count = 1}, szkr_err_invalid_state);
	refused(&(szkr_request_t){.path = "/", .body_length = 1}, szkr_err_invalid_state);
	refused(&(szkr_request_t){.path = "/", .body = "", .body_length = SIZE_MAX}, szkr_err_message_too_long);
	refused(&(szkr_request_t){.path = "/", .body = "", .body_length = SAZUKARI_MESSAGE_HARD_LIMIT + 1}, szkr_err_message_too_long);
	byte *body = calloc(1, SAZUKARI_MESSAGE_HARD_LIMIT);
	CHECK(body != NULL);
	refused(&(szkr_request_t){.path = "/", .body = body, .body_length = SAZUKARI_MESSAGE_HARD_LIMIT - 10}, szkr_err_message_too_long);
	free(body);
}

static const char *read_bytes(const char *text, size_t size, int head_only, szkr_response_t *r)
{
	szkr_err_t error;
	byte *bytes = malloc(size + 1);
	CHECK(bytes != NULL);
	memcpy(bytes, text, size);
	const char *fault = szkri_http_read(bytes, (length_t)size, head_only, r, &error);
	CHECK_INT(error, fault != NULL ? szkr_err_protocol : szkr_err_none);
	return fault;
}

static void responses_are_read(void)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type:  text/plain \r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello";
	szkr_response_t r;
	CHECK(read_bytes(text, sizeof text - 1, 0, &r) == NULL);
	CHECK_INT(r.status, 200);
	CHECK_INT(r.header_count, 5);
	CHECK(strcmp(szkr_response_header(&r, "content-TYPE"), "text/plain") == 0);
	CHECK(strcmp(szkr_response_header(&r, "X-A"), "1") == 0);
	CHECK(strcmp(szkr_response_header(&r, "X-Empty"), "") == 0);
	CHECK(szkr_response_header(&r, "X") == NULL && szkr_response_header(&r, "X-A-") == NULL);
	CHECK_INT(r.body_length, 5);
	CHECK(strcmp((char *)r.body, "hello") == 0);
	szkr_response_free(&r);
	szkr_response_free(&r); /* twice is harmless */
	CHECK(r.body == NULL && r.headers == NULL);

	static const char *const without_body[] = {"HTTP/1.1 200\r\n\r\n", "HTTP/1.0 404 Not Found\r\n\r\n", "HTTP/1.1 204 \r\n\r\n",
	                                           "HTTP/1.1 304 x\r\nContent-Length: 99\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	for (size_t i = 0; i < sizeof without_body / sizeof *without_body; i++) {
		CHECK(read_bytes(without_body[i], strlen(without_body[i]), 0, &r) == NULL);
		CHECK_INT(r.body_length, 0);
		szkr_response_free(&r);
	}
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 12345678901234567890\r\n\r\n";
	CHECK(read_bytes(head, sizeof head - 1, 1, &r) == NULL);
	szkr_response_free(&r);
}

/* The responses that all clients read or refuse alike. */
static void vectors_are_read_or_refused(void)
{
	char *json = json_read("http.json");
	int count = 0;
	for (;; count++) {
		char path[32];
		snprintf(path, sizeof path, "tests.%d", count);
		const char *test = json_find(json, path);
		if (test == NULL)
			break;
		size_t size;
		byte *message = json_bytes(test, "message", &size);
		szkr_response_t r;
		int taken = read_bytes((char *)message, size, json_is(test, "method", "HEAD"), &r) == NULL;
		free(message);
		if (taken != json_is(test, "expect", "ok")) {
			fprintf(stderr, "%s: %s\n", json_text(test, "name"), taken ? "taken" : "refused");
			exit(1);
		}
		if (taken) {
			CHECK_INT(r.status, json_number(test, "status"));
			size_t body_size = 0;
			byte *body = json_find(test, "body") != NULL ? json_bytes(test, "body", &body_size) : NULL;
			CHECK_INT(r.body_length, body_size);
			if (body_size > 0)
				CHECK_BYTES(r.body, body, body_size);
			free(body);
			szkr_response_free(&r);
		}
	}
	CHECK(count > 40);
	free(json);
}

static void wrong_responses_are_refused(void)
{
	static const char *const wrong[] = {
		"", "hello", "HTTP/1.1", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.2 200 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 600 x\r\n\r\n", "HTTP/1.1 -20 x\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n",
		"HTTP/1.1 200 OK\r\nA\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0x4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551620\r\n\r\nbody", "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	};
	szkr_response_t r;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (read_bytes(wrong[i], strlen(wrong[i]), 0, &r) == NULL) {
			fprintf(stderr, "taken: %s\n", wrong[i]);
			exit(1);
		}
	}
	static const char nul[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";
	CHECK(read_bytes(nul, sizeof nul - 1, 0, &r) != NULL);
	static const char body[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
	CHECK(read_bytes(body, sizeof body - 1, 1, &r) != NULL); /* to HEAD */
	for (size_t n = 0; n < sizeof body - 1; n++)
		CHECK(read_bytes(body, n, 0, &r) != NULL);
}

static void header_fields_are_bounded(void)
{
	szkr_response_t r;
	for (int n = 256; n <= 257; n++) {
		char text[4096] = "HTTP/1.1 200 OK\r\n";
		for (int i = 0; i < n; i++)
			strcat(text, "A: b\r\n");
		strcat(text, "\r\n");
		const char *fault = read_bytes(text, strlen(text), 0, &r);
		CHECK_INT(fault == NULL, n == 256);
		if (fault == NULL) {
			CHECK_INT(r.header_count, 256);
			szkr_response_free(&r);
		}
	}
}

static void cut_or_lengthen(struct peer *peer, byte *packet, size_t *size)
{
	(void)size;
	packet[9] = (byte)(packet[9] + peer->alter_by);
}

/* Someone on the path can change a message's length within its last block. */
static void an_altered_length_is_seen(void)
{
	struct peer peer;
	szkr_response_t r;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n12345\n"; /* 44 bytes: 4 short of whole blocks */
	peer.response = (const byte *)response;
	peer.response_length = sizeof response - 1;
	CHECK_INT(sizeof response - 1, 45 - 1);
	for (int by = -3; by <= 4; by++) {
		peer.alter = by == 0 ? NULL : cut_or_lengthen;
		peer.alter_type = SZKRI_MSG;
		peer.alter_by = (byte)by;
		szkr_request_t get = {.path = "/"};
		if (by == 0) {
			CHECK_OK(ctx, szkr_request(ctx, &get, &r));
			CHECK_INT(r.status, 200);
			CHECK(strcmp((char *)r.body, "12345\n") == 0);
			CHECK(strncmp((char *)peer.request, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36) == 0);
			szkr_response_free(&r);
		} else {
			CHECK_ERROR(ctx, szkr_request(ctx, &get, &r), szkr_err_protocol);
			CHECK(r.body == NULL && r.headers == NULL);
		}
	}
	CHECK_ERROR(ctx, szkr_request(ctx, NULL, &r), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_request(ctx, &(szkr_request_t){.path = "x"}, &r), szkr_err_invalid_state);
	context_free(ctx);
	peer_free(&peer);
}

void test_http(void)
{
	requests_are_written();
	no_request_can_be_smuggled();
	responses_are_read();
	vectors_are_read_or_refused();
	wrong_responses_are_refused();
	header_fields_are_bounded();
	an_altered_length_is_seen();
}
