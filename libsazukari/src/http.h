/* http.h: HTTP requests and responses as bytes (RFC 9112). */
#ifndef SZKRI_HTTP_H
#define SZKRI_HTTP_H

#include "sazukari.h"

/* szkri_http_write writes a request. It returns the bytes, which the caller
 * frees, or NULL with an error and a reason. host is the value of Host unless the
 * request has one; port is left out if 0. */
byte *szkri_http_write(const szkr_request_t *request, const char *host, uint16_t port, length_t *size, szkr_err_t *error,
                       const char **reason);

/* szkri_http_read reads a whole response, which has no body if head_only is 1.
 * It takes over bytes, which are followed by one more that it may write to:
 * on success the response owns them, else they are freed, and the reason is
 * returned. */
const char *szkri_http_read(byte *bytes, length_t size, int head_only, szkr_response_t *response, szkr_err_t *error);

#endif
