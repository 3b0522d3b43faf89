#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "http.h"
#include "message.h"
#include "net.h"
#include "token.h"

/* A buffer that is measured first, with bytes NULL, and then filled. */
struct writer {
	byte *bytes;
	size_t size;
};

static void put(struct writer *w, const void *data, size_t size)
{
	if (w->bytes != NULL && size > 0)
		memcpy(w->bytes + w->size, data, size);
	w->size += size;
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static int is_target(const char *path)
{
	if (path == NULL || *path != '/')
		return 0;
	for (; *path != '\0'; path++)
		if (*path <= ' ' || *path >= 0x7F || *path == '#')
			return 0;
	return 1;
}

static int is_value(const char *value)
{
	if (value == NULL)
		return 0;
	for (; *value != '\0'; value++)
		if (!szkri_is_text(*value))
			return 0;
	return 1;
}

static int is_host(const char *host)
{
	return *host != '\0' && is_value(host) && strpbrk(host, " \t/,@") == NULL;
}

/* Returns what is wrong with a request, or NULL. */
static const char *request_fault(const szkr_request_t *r)
{
	if (r->method != NULL && !szkri_is_token(r->method))
		return "the method isn't one word";
	if (r->method != NULL && strcmp(r->method, "CONNECT") == 0)
		return "a message can't carry CONNECT";
	if (!is_target(r->path))
		return "the path doesn't begin with '/', or has a character that must be escaped";
	if (r->host != NULL && !is_host(r->host))
		return "the host is malformed";
	if (r->headers == NULL && r->header_count > 0)
		return "headers is NULL";
	if (r->body == NULL && r->body_length > 0)
		return "body is NULL";
	for (size_t i = 0; i < r->header_count; i++) {
		const szkr_header_t *h = &r->headers[i];
		if (h->name == NULL || !szkri_is_token(h->name) || !is_value(h->value))
			return "a header field is malformed";
		if (szkri_same_name(h->name, "Host") || szkri_same_name(h->name, "Content-Length") ||
		    szkri_same_name(h->name, "Transfer-Encoding"))
			return "Host, Content-Length and Transfer-Encoding are written by the library";
	}
	return NULL;
}

static int is_method(const szkr_request_t *r, const char *method)
{
	return r->method != NULL && strcmp(r->method, method) == 0;
}

static void put_host(struct writer *w, const szkr_request_t *r, const char *host, uint16_t port)
{
	char text[8];
	put_text(w, "Host: ");
	if (r->host != NULL) {
		put_text(w, r->host);
	} else {
		int is_ipv6 = strchr(host, ':') != NULL;
		put_text(w, is_ipv6 ? "[" : "");
		put_text(w, host);
		put_text(w, is_ipv6 ? "]" : "");
		snprintf(text, sizeof text, ":%u", (unsigned)port);
		put_text(w, port != 0 ? text : "");
	}
	put_text(w, "\r\n");
}

static void put_request(struct writer *w, const szkr_request_t *r, const char *host, uint16_t port)
{
	char text[64];
	int has_body = r->body != NULL;
	put_text(w, r->method != NULL ? r->method : has_body ? "POST" : "GET");
	put_text(w, " ");
	put_text(w, r->path);
	put_text(w, " HTTP/1.1\r\n");
	put_host(w, r, host, port);
	for (size_t i = 0; i < r->header_count; i++) {
		put_text(w, r->headers[i].name);
		put_text(w, ": ");
		put_text(w, r->headers[i].value);
		put_text(w, "\r\n");
	}
	if (has_body || is_method(r, "POST") || is_method(r, "PUT") || is_method(r, "PATCH")) {
		snprintf(text, sizeof text, "Content-Length: %llu\r\n", (unsigned long long)r->body_length);
		put_text(w, text);
	}
	put_text(w, "\r\n");
	put(w, r->body, r->body_length);
}

byte *szkri_http_write(const szkr_request_t *request, const char *host, uint16_t port, length_t *size, szkr_err_t *error,
                       const char **reason)
{
	struct writer w = {NULL, 0};
	*error = szkr_err_invalid_state;
	*reason = request_fault(request);
	if (*reason != NULL)
		return NULL;
	if (request->body_length <= SAZUKARI_MESSAGE_HARD_LIMIT)
		put_request(&w, request, host, port);
	if (w.size == 0 || w.size > SAZUKARI_MESSAGE_HARD_LIMIT) {
		*error = szkr_err_message_too_long;
		*reason = "the whole request is over 1 MiB";
		return NULL;
	}
	*size = (length_t)w.size;
	w.bytes = malloc(w.size);
	if (w.bytes == NULL) {
		*error = szkr_err_internal;
		*reason = "no memory";
		return NULL;
	}
	w.size = 0;
	put_request(&w, request, host, port);
	*error = szkr_err_none;
	return w.bytes;
}

static int round_trip(szkr_ctx_t *ctx, const szkr_request_t *request, szkr_response_t *response)
{
	uint16_t port = 0;
	const char *host = ctx->net != NULL ? szkri_net_host(ctx->net, &port) : "localhost", *reason;
	szkr_err_t error;
	length_t size, received_size;
	byte *received;
	byte *bytes = szkri_http_write(request, host, port, &size, &error, &reason);
	if (bytes == NULL)
		return szkri_fail(ctx, error, reason);
	int result = szkri_message(ctx, bytes, size, &received, &received_size);
	OPENSSL_cleanse(bytes, size);
	free(bytes);
	if (result < 0)
		return -1;
	reason = szkri_http_read(received, received_size, is_method(request, "HEAD"), response, &error);
	return reason == NULL ? 0 : szkri_fail(ctx, error, reason);
}

int szkr_request(szkr_ctx_t *ctx, const szkr_request_t *request, szkr_response_t *response)
{
	if (response != NULL)
		memset(response, 0, sizeof *response);
	if (!szkri_enter(ctx))
		return -1;
	if (ctx->state == SZKRI_EMPTY || request == NULL || response == NULL)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "an argument is NULL, or there is no context"));
	return szkri_leave(round_trip(ctx, request, response));
}
