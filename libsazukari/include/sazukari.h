/*
 * sazukari.h: a client of Megaki.
 *
 * Every function but szkr_init, szkr_destroy and those that say so takes a
 * context. A context is for one thread at a time; different contexts are
 * independent of each other, and need no lock.
 *
 * Functions that return int return 0, or a negative number on an error; then
 * szkr_last_error returns which, and szkr_last_error_detail why.
 */
#ifndef SAZUKARI_H
#define SAZUKARI_H

#include <stddef.h>

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(SAZUKARI_BUILD_DLL)
#define SZKR_API __declspec(dllexport)
#elif defined(__GNUC__)
#define SZKR_API __attribute__((visibility("default")))
#else
#define SZKR_API
#endif

#define SAZUKARI_VERSION "1.0.0"

/* The largest message and the largest response, in bytes of plaintext. */
#define SAZUKARI_MESSAGE_HARD_LIMIT 1048576
#define SAZUKARI_RESPONSE_HARD_LIMIT 1048576

/* The bytes that programs leave free behind a message. This library never
 * writes to a message, and needs none. */
#define SAZUKARI_MIN_BUFFER_SENTINEL 128

/* The size of a saved session, as szkr_get_session_data_size returns it. */
#define SAZUKARI_SESSION_BYTES 48

typedef enum {
	szkr_err_none = 0,
	szkr_err_unknown = 1,
	szkr_err_incompatible_versions = 2, /* the server speaks another version */
	szkr_err_service_unavailable = 3,   /* the server takes no handshakes now */
	szkr_err_unknown_errcode = 4,       /* the server refused with an unknown code */
	szkr_err_invalid_state = 5,         /* wrong order of calls, or a wrong argument */
	szkr_err_protocol = 6,              /* the server sent something wrong, or isn't the pinned one */
	szkr_err_internal = 7,              /* out of memory, or a failure of the crypto library */
	szkr_err_io = 8,                    /* the connection failed, was closed, or timed out */
	szkr_err_handshake_needed = 9,      /* the server can't resume the session */
	szkr_err_server_blacklisted = 10,   /* the server's key must not be used any more */
	szkr_err_message_too_long = 11,     /* nothing was sent */
	szkr_err_response_too_long = 12     /* the response was left unread */
} szkr_err_t;

/* The server's public key, which a client ships with: big-endian. */
typedef struct {
	byte modulus[256];
	byte exponent[4];
} szkr_srvkey_t;

/*
 * A read callback fills the buffer with up to length bytes, and returns how
 * many it has read; it waits for at least one. A write callback returns how
 * many bytes of the buffer it has written. Fewer than length is fine: the
 * callback is called again for the rest. 0 or less means that the connection
 * has failed or was closed. The library asks for no byte that the server
 * doesn't owe, so a callback may as well wait for all of length.
 */
typedef slength_t (*szkr_read_cb)(byte *buffer, length_t length, void *param);
typedef slength_t (*szkr_write_cb)(byte *buffer, length_t length, void *param);

/* The connection: the callbacks, and what they are called with. */
typedef struct {
	szkr_read_cb read_callback;
	szkr_write_cb write_callback;
	void *cb_param;
} szkr_iostream_t;

/* A context. The caller allocates it, with szkr_get_ctxsize() bytes from
 * malloc or aligned as malloc aligns. */
typedef struct szkr_ctx szkr_ctx_t;

/* szkr_init readies the crypto library. It may be called several times, from
 * any thread; a program that doesn't call it loses nothing. */
SZKR_API int szkr_init(void);

/* szkr_destroy ends the use of the library. It leaves contexts alone. */
SZKR_API void szkr_destroy(void);

/* szkr_get_ctxsize returns the size of a context in bytes. */
SZKR_API int szkr_get_ctxsize(void);

/* szkr_new_ctx makes a context of uninitialised memory, for a connection that
 * the caller has opened. It makes no RSA key yet; the first handshake does.
 * If it fails, the context holds nothing but its error. */
SZKR_API int szkr_new_ctx(szkr_ctx_t *ctx, szkr_iostream_t stream, szkr_srvkey_t key);

/* szkr_reset_ctx forgets the session, and readies the context for a handshake:
 * on the same connection after szkr_err_handshake_needed, else on a new one.
 * The context's RSA key is kept. */
SZKR_API int szkr_reset_ctx(szkr_ctx_t *ctx);
SZKR_API int skzr_reset_ctx(szkr_ctx_t *ctx); /* the same */

/* szkr_destroy_ctx wipes what the context holds, and releases it. The memory
 * of the context itself is the caller's to free. */
SZKR_API void szkr_destroy_ctx(szkr_ctx_t *ctx);

/* szkr_do_handshake makes a new session, on a context that is new or reset.
 * Without szkr_prepare_key it makes the context's RSA key first. */
SZKR_API int szkr_do_handshake(szkr_ctx_t *ctx);

/* szkr_resume_session resumes a saved session of 48 bytes, as the first thing
 * on a connection. It may be called in any state of the context. With
 * szkr_err_handshake_needed the same connection is ready for
 * szkr_do_handshake, with or without szkr_reset_ctx before it. */
SZKR_API int szkr_resume_session(szkr_ctx_t *ctx, const byte *sdata);

/* szkr_send_message sends a message of 1 to 1 MiB bytes, and waits for the
 * response. The caller frees the response with free(); it may be of 0 bytes,
 * and one more byte, a 0, follows it. On an error *responsebuf is NULL.
 *
 * After szkr_err_message_too_long, and after szkr_err_invalid_state for a
 * wrong argument, nothing was sent and the context can go on. After any other
 * error the connection can't be used any more, and the server may have handled
 * the message or not; the session can be resumed on a new connection. */
SZKR_API int szkr_send_message(szkr_ctx_t *ctx, byte *msg, length_t msglen, byte **responsebuf, length_t *responselen);

/* szkr_get_session_data writes the session's 48 bytes to sdata, and 48 to
 * *len; len may be NULL. Whoever has these bytes can speak as this client.
 * Save them after a handshake and after each resumption, which changes them.
 * Don't use a session in two contexts at once. */
SZKR_API int szkr_get_session_data(szkr_ctx_t *ctx, byte *sdata, length_t *len);
SZKR_API length_t szkr_get_session_data_size(void);

/* szkr_last_error returns the error of the last call with this context. */
SZKR_API szkr_err_t szkr_last_error(szkr_ctx_t *ctx);

/* ---- What follows is new in this library. ---- */

/* szkr_version returns the version of the library that runs. */
SZKR_API const char *szkr_version(void);

/* szkr_strerror returns a sentence for an error. */
SZKR_API const char *szkr_strerror(szkr_err_t error);

/* szkr_last_error_detail returns what was wrong in the last call with this
 * context, in words; an empty string after success. The string is constant. */
SZKR_API const char *szkr_last_error_detail(szkr_ctx_t *ctx);

/* szkr_key_from_pem reads a public RSA key in PEM, or the 260 bytes of modulus
 * and exponent. length is that of data, without a final 0. It takes no
 * context, and returns 0 or a negated szkr_err_t: szkr_err_invalid_state for
 * what is no public RSA key of 2048 bits. Data that has a private key, with a
 * public one or without, is refused: it must not be in a client. */
SZKR_API int szkr_key_from_pem(const void *data, size_t length, szkr_srvkey_t *key);

/* szkr_prepare_key starts to make the context's RSA key in the background and
 * returns at once. A handshake waits for it. szkr_destroy_ctx breaks it off. */
SZKR_API int szkr_prepare_key(szkr_ctx_t *ctx);

/* szkr_key_ready returns 1 if the context has its RSA key, else 0. */
SZKR_API int szkr_key_ready(szkr_ctx_t *ctx);

/* szkr_set_max_messages bounds the messages that one key of the session may
 * carry: from 1 to 1,048,576; 16,384 unless set. The context remembers 16
 * bytes for each, to refuse packets that were sent before. When they are used
 * up, sending fails with szkr_err_io, as if the server had closed the
 * connection; resuming gives a new key. */
SZKR_API int szkr_set_max_messages(szkr_ctx_t *ctx, length_t count);

/* Options of szkr_connect. 0 and NULL mean the default. */
typedef struct {
	uint32_t connect_ms;   /* to connect, to all addresses together: 10,000 */
	uint32_t handshake_ms; /* for a handshake or a resumption: 15,000 */
	uint32_t message_ms;   /* for a message and its response: 60,000 */
	const byte *session;   /* 48 bytes of a session to resume */
	void *reserved[4];     /* NULL */
} szkr_options_t;

/* szkr_connect makes a context of uninitialised memory, connects to a server
 * by TCP, and begins a session: it resumes options->session, if there is one
 * and the server knows it, else it does a handshake. options may be NULL. The
 * look-up of the host's name isn't bounded by connect_ms.
 *
 * If it fails, the context holds nothing but its error. Later, when
 * szkr_send_message finds the connection closed or failed before it has sent
 * anything, it connects again, and resumes the session. */
SZKR_API int szkr_connect(szkr_ctx_t *ctx, const char *host, uint16_t port, szkr_srvkey_t key, const szkr_options_t *options);

/* One field of a request or response. */
typedef struct {
	const char *name;
	const char *value;
} szkr_header_t;

/* An HTTP request. */
typedef struct {
	const char *method;           /* NULL: GET, or POST where there is a body */
	const char *path;             /* with its query, if any; begins with '/' */
	const char *host;             /* NULL: that of szkr_connect, else localhost */
	const szkr_header_t *headers; /* besides Host and Content-Length */
	size_t header_count;
	const void *body; /* NULL: none */
	size_t body_length;
	void *reserved[4]; /* NULL */
} szkr_request_t;

/* An HTTP response. The strings are valid until szkr_response_free. */
typedef struct {
	int status; /* 200 to 599 */
	szkr_header_t *headers;
	size_t header_count;
	byte *body; /* followed by a 0 that doesn't count */
	size_t body_length;
	void *reserved[4];
} szkr_response_t;

/* szkr_request sends an HTTP request in a message, and reads the HTTP response
 * in the response. It refuses a response whose Content-Length doesn't agree
 * with the length of the message: Megaki doesn't authenticate that length.
 * The whole request and the whole response have at most 1 MiB. After success
 * the caller calls szkr_response_free. */
SZKR_API int szkr_request(szkr_ctx_t *ctx, const szkr_request_t *request, szkr_response_t *response);

/* szkr_response_header returns the value of the first field of that name, in
 * any case of letters, or NULL. */
SZKR_API const char *szkr_response_header(const szkr_response_t *response, const char *name);
SZKR_API void szkr_response_free(szkr_response_t *response);

#ifdef __cplusplus
}
#endif

#endif
