/* Calls in the wrong order and with wrong arguments; secrets that are wiped. */
#include "test.h"

#include <openssl/err.h>

#include "peer.h"
#include "seen.h"
#include "vectors.h"

/* Sending before a handshake crashed the reference. */
static void sending_before_a_handshake_is_refused(void)
{
	struct peer peer;
	byte message[4] = "abc", *response, saved[48];
	length_t length;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, 3, &response, &length), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_get_session_data(ctx, saved, &length), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_resume_session(ctx, NULL), szkr_err_invalid_state);
	CHECK_INT(peer.writes, 0);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK_ERROR(ctx, szkr_do_handshake(ctx), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_get_session_data(ctx, NULL, &length), szkr_err_invalid_state);
	echo(ctx, "a refused call breaks nothing");
	CHECK_INT(szkr_last_error(ctx), szkr_err_none);
	CHECK_INT(szkr_last_error_detail(ctx)[0], 0);
	context_free(ctx);
	peer_free(&peer);
}

static void a_reset_context_does_a_handshake_on_the_same_connection(void)
{
	struct peer peer;
	byte saved[48];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	for (int i = 0; i < 4; i++) {
		CHECK_OK(ctx, szkr_do_handshake(ctx));
		echo(ctx, "and again");
		CHECK_OK(ctx, i % 2 == 0 ? szkr_reset_ctx(ctx) : skzr_reset_ctx(ctx));
		CHECK_ERROR(ctx, szkr_get_session_data(ctx, saved, NULL), szkr_err_invalid_state);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void no_context_is_an_error_and_no_crash(void)
{
	byte b = 0, *response;
	length_t length;
	szkr_srvkey_t key = vector_pinned_key();
	szkr_iostream_t none = {NULL, NULL, NULL};
	CHECK(szkr_new_ctx(NULL, none, key) < 0);
	CHECK(szkr_reset_ctx(NULL) < 0);
	CHECK(szkr_do_handshake(NULL) < 0);
	CHECK(szkr_resume_session(NULL, &b) < 0);
	CHECK(szkr_send_message(NULL, &b, 1, &response, &length) < 0);
	CHECK(szkr_get_session_data(NULL, &b, &length) < 0);
	CHECK(szkr_prepare_key(NULL) < 0);
	CHECK(szkr_set_max_messages(NULL, 1) < 0);
	CHECK(szkr_connect(NULL, "h", 1, key, NULL) < 0);
	CHECK(szkr_request(NULL, NULL, NULL) < 0);
	CHECK_INT(szkr_key_ready(NULL), 0);
	CHECK_INT(szkr_last_error(NULL), szkr_err_invalid_state);
	CHECK(szkr_last_error_detail(NULL)[0] != '\0');
	szkr_destroy_ctx(NULL);
	szkr_response_free(NULL);
	CHECK(szkr_response_header(NULL, "a") == NULL);

	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	CHECK(ctx != NULL);
	CHECK_ERROR(ctx, szkr_new_ctx(ctx, none, key), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_do_handshake(ctx), szkr_err_invalid_state);
	struct peer peer;
	peer_init(&peer);
	key.modulus[0] = 0;
	CHECK_ERROR(ctx, szkr_new_ctx(ctx, peer_stream(&peer), key), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_do_handshake(ctx), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_reset_ctx(ctx), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_prepare_key(ctx), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_resume_session(ctx, key.modulus), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_send_message(ctx, &b, 1, &response, &length), szkr_err_invalid_state);
	szkr_destroy_ctx(ctx);
	szkr_destroy_ctx(ctx); /* twice is harmless */
	CHECK(szkr_do_handshake(ctx) < 0);
	free(ctx);
	peer_free(&peer);
}

/* Looks for a secret in the bytes of a context. */
static int holds(const szkr_ctx_t *ctx, const byte *secret, size_t size)
{
	const byte *p = (const byte *)ctx;
	for (size_t i = 0; i + size <= sizeof *ctx; i++)
		if (memcmp(p + i, secret, size) == 0)
			return 1;
	return 0;
}

static void keys_are_wiped(void)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK(holds(ctx, peer.master, 32));
	CHECK_OK(ctx, szkr_reset_ctx(ctx));
	CHECK(!holds(ctx, peer.master, 32));
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK(holds(ctx, peer.master, 32));
	byte *zeros = calloc(1, sizeof *ctx);
	szkr_destroy_ctx(ctx);
	CHECK(zeros != NULL);
	CHECK_BYTES(ctx, zeros, sizeof *ctx);
	free(zeros);
	free(ctx);
	peer_free(&peer);
}

static void a_context_can_be_moved(void)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer), *moved = malloc(sizeof *moved);
	CHECK(moved != NULL);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	memcpy(moved, ctx, sizeof *moved);
	memset(ctx, 0xA5, sizeof *ctx);
	free(ctx);
	echo(moved, "at another address");
	context_free(moved);
	peer_free(&peer);
}

/* The error queue of libcrypto belongs to the program. */
static void no_error_is_left_in_the_queue(void)
{
	struct peer peer;
	szkr_srvkey_t key;
	byte saved[48] = {0};
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	ERR_clear_error();
	CHECK(szkr_key_from_pem("rubbish", 7, &key) < 0);
	CHECK_INT(ERR_peek_error(), 0);
	peer.alter = flip_byte; /* a SYN-ACK under another key */
	peer.alter_type = SZKRI_SYN_ACK;
	peer.alter_at = 60;
	peer.alter_by = 1;
	CHECK(szkr_do_handshake(ctx) < 0);
	CHECK(szkr_resume_session(ctx, saved) < 0);
	CHECK_INT(ERR_peek_error(), 0);
	context_free(ctx);
	peer_free(&peer);
}

static slength_t discard(byte *p, length_t length, void *param)
{
	(void)p;
	(void)param;
	return (slength_t)length;
}

struct misbehaviour {
	slength_t result; /* if it is positive, so many more than were asked for */
	int calls;
};

static slength_t misbehave(byte *p, length_t length, void *param)
{
	struct misbehaviour *m = param;
	(void)p;
	m->calls++;
	return m->result > 0 ? (slength_t)length + m->result : m->result;
}

/* Callbacks that report a failure, the end, or more than they were asked for. */
static void callbacks_are_not_trusted(void)
{
	static const slength_t results[] = {-2, -1, 0, 1, INT32_MIN};
	struct peer peer;
	peer_init(&peer);
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		for (int reading = 0; reading < 2; reading++) {
			szkr_ctx_t *ctx = peer_context(&peer);
			peer_reconnect(&peer);
			CHECK_OK(ctx, szkr_do_handshake(ctx));
			struct misbehaviour m = {results[i], 0};
			ctx->stream.cb_param = &m;
			if (reading)
				ctx->stream.read_callback = misbehave;
			ctx->stream.write_callback = reading ? discard : misbehave;
			byte message = 'm', *response;
			length_t length;
			CHECK_ERROR(ctx, szkr_send_message(ctx, &message, 1, &response, &length), szkr_err_io);
			CHECK_INT(m.calls, 1);
			context_free(ctx);
		}
	}
	peer_free(&peer);
}

static void errors_have_texts(void)
{
	for (int i = 0; i <= 12; i++)
		for (int j = 0; j < i; j++)
			CHECK(strcmp(szkr_strerror((szkr_err_t)i), szkr_strerror((szkr_err_t)j)) != 0);
	CHECK(strcmp(szkr_strerror((szkr_err_t)13), "unknown error") == 0);
	CHECK(strcmp(szkr_strerror((szkr_err_t)-1), "unknown error") == 0);
	CHECK(strcmp(szkr_version(), SAZUKARI_VERSION) == 0);
}

void test_states(void)
{
	sending_before_a_handshake_is_refused();
	a_reset_context_does_a_handshake_on_the_same_connection();
	no_context_is_an_error_and_no_crash();
	keys_are_wiped();
	a_context_can_be_moved();
	no_error_is_left_in_the_queue();
	callbacks_are_not_trusted();
	errors_have_texts();
}

/* The set holds what was put into it, and nothing else. */
void test_seen(void)
{
	struct szkri_seen seen;
	byte mac[32];
	uint64_t n = (uint64_t)stride(100) > 1 ? 1000 : 100000;
	memset(&seen, 0, sizeof seen);
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < n; i++) {
			uint64_t prefix = i << 32; /* alike in what the table's place could be taken from */
			memset(mac, 0, sizeof mac);
			memcpy(mac, &prefix, sizeof prefix);
			CHECK_INT(szkri_seen_reserve(&seen, 1), 0);
			CHECK_INT(szkri_seen_add(&seen, mac), round == 0);
		}
	}
	CHECK_INT(seen.used, n);
	CHECK(seen.size <= 4 * n);
	szkri_seen_clear(&seen);
	CHECK(seen.table == NULL && seen.used == 0);
}
