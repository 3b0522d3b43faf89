#include "http.h"

#include <stdlib.h>
#include <string.h>

#include "token.h"

enum { max_headers = 256 };

/* Cuts the next line off the head, and makes a string of it. It returns NULL
 * if there is none, or if it ends otherwise than in CR LF, or has control
 * characters. */
static char *cut_line(char **at, const char *end)
{
	char *line = *at;
	for (char *p = line; p < end; p++) {
		if (*p == '\r' && end - p >= 2 && p[1] == '\n') {
			*p = '\0';
			*at = p + 2;
			return line;
		}
		if (!szkri_is_text(*p))
			return NULL;
	}
	return NULL;
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK": the status, or -1. */
static int parse_status(const char *line)
{
	if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
		return -1;
	const char *s = line + 9;
	if (!is_digit(s[0]) || !is_digit(s[1]) || !is_digit(s[2]) || (s[3] != ' ' && s[3] != '\0'))
		return -1;
	int status = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
	return status >= 200 && status <= 599 ? status : -1;
}

/* "Name: value" in place. */
static int parse_field(char *line, szkr_header_t *field)
{
	char *colon = strchr(line, ':');
	if (colon == NULL)
		return -1;
	*colon = '\0';
	if (!szkri_is_token(line))
		return -1;
	char *value = colon + 1;
	value += strspn(value, " \t");
	size_t n = strlen(value);
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	value[n] = '\0';
	field->name = line;
	field->value = value;
	return 0;
}

/* Content-Length as a number up to the limit of a response, or -1. */
static int64_t parse_length(const char *value)
{
	int64_t n = 0;
	if (*value == '\0')
		return -1;
	for (; *value != '\0'; value++) {
		if (!is_digit(*value))
			return -1;
		n = n * 10 + (*value - '0');
		if (n > SAZUKARI_RESPONSE_HARD_LIMIT)
			return -1;
	}
	return n;
}

/* Reads the lines up to the empty one. */
static const char *read_fields(szkr_response_t *r, char **at, const char *end)
{
	for (;;) {
		char *line = cut_line(at, end);
		if (line == NULL)
			return "the response's head doesn't end, or has a character that isn't allowed";
		if (*line == '\0')
			return NULL;
		if (r->header_count == max_headers)
			return "the response has more than 256 header fields";
		if (parse_field(line, &r->headers[r->header_count]) < 0)
			return "a header field of the response is malformed";
		r->header_count++;
	}
}

/* Checks that the response itself declares where its body ends, and ends there:
 * the length of a message is covered by no MAC. */
static const char *check_body(const szkr_response_t *r, int head_only)
{
	const char *length = NULL;
	for (size_t i = 0; i < r->header_count; i++) {
		if (szkri_same_name(r->headers[i].name, "Transfer-Encoding"))
			return "the response has a Transfer-Encoding, which a message can't have";
		if (szkri_same_name(r->headers[i].name, "Content-Length")) {
			if (length != NULL)
				return "the response has two Content-Length fields";
			length = r->headers[i].value;
		}
	}
	int64_t expected = 0;
	int has_no_body = head_only || r->status == 204 || r->status == 304;
	if (length == NULL && r->body_length > 0 && !has_no_body)
		return "the response has a body but no Content-Length, so that nobody knows whether it is whole";
	if (length != NULL && !has_no_body)
		expected = parse_length(length);
	if (expected < 0 || (uint64_t)expected != r->body_length)
		return "the response's body doesn't have the length of its Content-Length";
	return NULL;
}

static const char *parse(szkr_response_t *r, char *at, const char *end, int head_only)
{
	if (end - at < 7 || memcmp(at, "HTTP/1.", 7) != 0)
		return "the response isn't an HTTP response";
	const char *line = cut_line(&at, end);
	if (line == NULL || (r->status = parse_status(line)) < 0)
		return "the response's first line is malformed, or its status isn't from 200 to 599";
	const char *fault = read_fields(r, &at, end);
	if (fault != NULL)
		return fault;
	r->body = (byte *)at;
	r->body_length = (size_t)(end - at);
	return check_body(r, head_only);
}

const char *szkri_http_read(byte *bytes, length_t size, int head_only, szkr_response_t *response, szkr_err_t *error)
{
	szkr_response_t r;
	memset(&r, 0, sizeof r);
	r.reserved[0] = bytes;
	r.headers = calloc(max_headers, sizeof *r.headers);
	const char *fault = "no memory";
	*error = szkr_err_internal;
	if (r.headers != NULL) {
		bytes[size] = 0;
		fault = parse(&r, (char *)bytes, (char *)bytes + size, head_only);
		*error = fault != NULL ? szkr_err_protocol : szkr_err_none;
	}
	if (fault != NULL)
		szkr_response_free(&r);
	else
		*response = r;
	return fault;
}

const char *szkr_response_header(const szkr_response_t *response, const char *name)
{
	if (response == NULL || name == NULL)
		return NULL;
	for (size_t i = 0; i < response->header_count; i++)
		if (szkri_same_name(response->headers[i].name, name))
			return response->headers[i].value;
	return NULL;
}

void szkr_response_free(szkr_response_t *response)
{
	if (response == NULL)
		return;
	free(response->reserved[0]); /* the message, which all strings point into */
	free(response->headers);
	memset(response, 0, sizeof *response);
}
