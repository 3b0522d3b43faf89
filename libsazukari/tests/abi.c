/* What programs that are compiled already rely on: numbers, sizes, offsets and
 * the types of functions. It compiles, or it doesn't. */
#include <syslog.h>

#include <sazukari.h>

#define IS(expression, value) _Static_assert((long long)(expression) == (value), #expression)

IS(sizeof(byte), 1);
IS(sizeof(length_t), 4);
IS(sizeof(slength_t), 4);
IS((byte)-1, 255);
IS((length_t)-1, 4294967295);
IS((slength_t)-1, -1);

IS(sizeof(szkr_srvkey_t), 260);
IS(offsetof(szkr_srvkey_t, modulus), 0);
IS(offsetof(szkr_srvkey_t, exponent), 256);

IS(sizeof(szkr_iostream_t), 3 * sizeof(void *));
IS(offsetof(szkr_iostream_t, read_callback), 0);
IS(offsetof(szkr_iostream_t, write_callback), sizeof(void *));
IS(offsetof(szkr_iostream_t, cb_param), 2 * sizeof(void *));

IS(sizeof(szkr_err_t), 4);
IS(szkr_err_none, 0);
IS(szkr_err_unknown, 1);
IS(szkr_err_incompatible_versions, 2);
IS(szkr_err_service_unavailable, 3);
IS(szkr_err_unknown_errcode, 4);
IS(szkr_err_invalid_state, 5);
IS(szkr_err_protocol, 6);
IS(szkr_err_internal, 7);
IS(szkr_err_io, 8);
IS(szkr_err_handshake_needed, 9);
IS(szkr_err_server_blacklisted, 10);
IS(szkr_err_message_too_long, 11);
IS(szkr_err_response_too_long, 12);

IS(SAZUKARI_MESSAGE_HARD_LIMIT, 1048576);
IS(SAZUKARI_RESPONSE_HARD_LIMIT, 1048576);
IS(SAZUKARI_MIN_BUFFER_SENTINEL, 128);
IS(SAZUKARI_SESSION_BYTES, 48);

IS(LOG_EMERG, 0);
IS(LOG_ALERT, 1);
IS(LOG_CRIT, 2);
IS(LOG_ERR, 3);
IS(LOG_WARNING, 4);
IS(LOG_NOTICE, 5);
IS(LOG_INFO, 6);
IS(LOG_DEBUG, 7);

/* New in this library, and from now on as fixed. */
#if UINTPTR_MAX == UINT64_MAX
IS(sizeof(szkr_options_t), 56);
IS(offsetof(szkr_options_t, session), 16);
IS(sizeof(szkr_header_t), 16);
IS(sizeof(szkr_request_t), 88);
IS(offsetof(szkr_request_t, headers), 24);
IS(offsetof(szkr_request_t, body), 40);
IS(sizeof(szkr_response_t), 72);
IS(offsetof(szkr_response_t, headers), 8);
IS(offsetof(szkr_response_t, body), 24);
#endif

slength_t (*const read_type)(byte *, length_t, void *) = (szkr_read_cb)0;
slength_t (*const write_type)(byte *, length_t, void *) = (szkr_write_cb)0;

int (*const f_init)(void) = szkr_init;
int (*const f_get_ctxsize)(void) = szkr_get_ctxsize;
int (*const f_new_ctx)(szkr_ctx_t *, szkr_iostream_t, szkr_srvkey_t) = szkr_new_ctx;
int (*const f_reset_ctx)(szkr_ctx_t *) = szkr_reset_ctx;
int (*const f_reset_misspelt)(szkr_ctx_t *) = skzr_reset_ctx;
int (*const f_do_handshake)(szkr_ctx_t *) = szkr_do_handshake;
int (*const f_resume_session)(szkr_ctx_t *, const byte *) = szkr_resume_session;
szkr_err_t (*const f_last_error)(szkr_ctx_t *) = szkr_last_error;
int (*const f_send_message)(szkr_ctx_t *, byte *, length_t, byte **, length_t *) = szkr_send_message;
int (*const f_get_session_data)(szkr_ctx_t *, byte *, length_t *) = szkr_get_session_data;
length_t (*const f_get_session_data_size)(void) = szkr_get_session_data_size;
void (*const f_destroy_ctx)(szkr_ctx_t *) = szkr_destroy_ctx;
void (*const f_destroy)(void) = szkr_destroy;

const char *(*const f_version)(void) = szkr_version;
const char *(*const f_strerror)(szkr_err_t) = szkr_strerror;
const char *(*const f_last_error_detail)(szkr_ctx_t *) = szkr_last_error_detail;
int (*const f_key_from_pem)(const void *, size_t, szkr_srvkey_t *) = szkr_key_from_pem;
int (*const f_prepare_key)(szkr_ctx_t *) = szkr_prepare_key;
int (*const f_key_ready)(szkr_ctx_t *) = szkr_key_ready;
int (*const f_set_max_messages)(szkr_ctx_t *, length_t) = szkr_set_max_messages;
int (*const f_connect)(szkr_ctx_t *, const char *, uint16_t, szkr_srvkey_t, const szkr_options_t *) = szkr_connect;
int (*const f_request)(szkr_ctx_t *, const szkr_request_t *, szkr_response_t *) = szkr_request;
const char *(*const f_response_header)(const szkr_response_t *, const char *) = szkr_response_header;
void (*const f_response_free)(szkr_response_t *) = szkr_response_free;

int main(void)
{
	return szkr_get_ctxsize() > 0 && szkr_get_session_data_size() == 48 ? 0 : 1;
}
