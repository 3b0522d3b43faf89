/* Resumption: in the same context, in a fresh one, with losses and lies. */
#include "test.h"

#include "peer.h"

static void save(szkr_ctx_t *ctx, byte saved[48])
{
	length_t size = 0;
	CHECK_OK(ctx, szkr_get_session_data(ctx, saved, &size));
	CHECK_INT(size, szkr_get_session_data_size());
}

/* The reference saved a token of zeros after it had resumed in a fresh
 * context, so that the second restart cost a handshake. */
static void a_fresh_context_resumes_twice(void)
{
	struct peer peer;
	byte saved[48], before[48];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	echo(ctx, "first");
	save(ctx, saved);
	for (int i = 0; i < 2; i++) {
		context_free(ctx);
		peer_reconnect(&peer);
		ctx = peer_context(&peer);
		memcpy(before, saved, sizeof before);
		CHECK_OK(ctx, szkr_resume_session(ctx, saved));
		CHECK_INT(peer.last_in[5], SZKRI_RSTOR);
		CHECK_INT(peer.read_asked, 0);
		save(ctx, saved);
		CHECK_BYTES(saved, before, 16);
		CHECK(memcmp(saved + 16, before + 16, 32) != 0);
		CHECK_BYTES(saved, peer.token, 16);
		CHECK_BYTES(saved + 16, peer.pending, 32);
		echo(ctx, "again");
		CHECK_BYTES(peer.message_token, saved, 16);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void the_same_context_resumes_twice(void)
{
	struct peer peer;
	byte saved[48];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	for (int i = 0; i < 2; i++) {
		peer_reconnect(&peer);
		save(ctx, saved);
		CHECK_OK(ctx, szkr_resume_session(ctx, saved));
		echo(ctx, "in the same context");
	}
	context_free(ctx);
	peer_free(&peer);
}

static void an_unknown_token_asks_for_a_handshake(void)
{
	struct peer peer;
	byte saved[48];
	peer_init(&peer);
	for (int with_reset = 0; with_reset < 2; with_reset++) {
		memset(saved, 0x5A, sizeof saved);
		peer.knows_session = 0;
		peer_reconnect(&peer);
		szkr_ctx_t *ctx = peer_context(&peer);
		CHECK_ERROR(ctx, szkr_resume_session(ctx, saved), szkr_err_handshake_needed);
		CHECK_ERROR(ctx, szkr_get_session_data(ctx, saved, NULL), szkr_err_invalid_state);
		if (with_reset)
			CHECK_OK(ctx, szkr_reset_ctx(ctx));
		CHECK_OK(ctx, szkr_do_handshake(ctx)); /* on the same connection */
		echo(ctx, "after all");
		context_free(ctx);
	}
	peer_free(&peer);
}

static void a_lost_rstor_ack_can_be_tried_again(void)
{
	struct peer peer;
	byte saved[48], after[48];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	save(ctx, saved);
	for (int i = 0; i < 3; i++) {
		peer.alter = cut_packet;
		peer.alter_type = SZKRI_RSTOR_ACK;
		peer.alter_at = 0;
		peer_reconnect(&peer);
		CHECK_ERROR(ctx, szkr_resume_session(ctx, saved), szkr_err_io);
		save(ctx, after); /* the session is the same: the server knows it */
		CHECK_BYTES(after, saved, sizeof after);
	}
	peer.alter = NULL;
	peer_reconnect(&peer);
	CHECK_OK(ctx, szkr_resume_session(ctx, after));
	echo(ctx, "at last");
	context_free(ctx);
	peer_free(&peer);
}

static void expect_failure(struct peer *peer, szkr_ctx_t *ctx, const byte *saved, szkr_err_t error)
{
	byte after[48], *response;
	length_t length;
	peer_reconnect(peer);
	CHECK_ERROR(ctx, szkr_resume_session(ctx, saved), error);
	save(ctx, after);
	CHECK_BYTES(after, saved, sizeof after);
	CHECK_ERROR(ctx, szkr_send_message(ctx, after, 1, &response, &length), szkr_err_invalid_state);
}

static void altered_responses_fail(void)
{
	struct peer peer;
	byte saved[48];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	save(ctx, saved);
	peer.alter_type = SZKRI_RSTOR_ACK;
	peer.alter = cut_packet;
	for (peer.alter_at = 0; peer.alter_at < sizeof(struct szkri_rstor); peer.alter_at++)
		expect_failure(&peer, ctx, saved, szkr_err_io);
	peer.alter = flip_byte;
	for (peer.alter_at = 0; peer.alter_at < sizeof(struct szkri_rstor); peer.alter_at++) {
		for (int bit = 0; bit < 8; bit++) {
			peer.alter_by = (byte)(1 << bit);
			if (peer.alter_at == 5 && peer.alter_by == (SZKRI_RSTOR_ACK ^ SZKRI_REQ_REHS))
				continue; /* REQ-REHS, which costs a handshake */
			expect_failure(&peer, ctx, saved, szkr_err_protocol);
		}
	}
	/* An altered REQ-REHS. */
	peer.knows_session = 0;
	peer.alter_type = SZKRI_REQ_REHS;
	for (peer.alter_at = 0; peer.alter_at < sizeof(struct szkri_head); peer.alter_at++) {
		peer.alter_by = 0x10;
		expect_failure(&peer, ctx, saved, szkr_err_protocol);
	}
	peer.alter = cut_packet;
	for (peer.alter_at = 0; peer.alter_at < sizeof(struct szkri_head); peer.alter_at++)
		expect_failure(&peer, ctx, saved, szkr_err_io);
	context_free(ctx);
	peer_free(&peer);
}

/* The client's own RSTOR, sent back with the type of a response. */
static void a_reflected_rstor_fails(void)
{
	struct peer peer;
	byte saved[48];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	save(ctx, saved);
	peer_reconnect(&peer);
	CHECK_OK(ctx, szkr_resume_session(ctx, saved));
	byte old[sizeof(struct szkri_rstor)];
	memcpy(old, peer.last_in, sizeof old);
	old[5] = SZKRI_RSTOR_ACK;
	peer.silent = 1;
	peer_reconnect(&peer);
	memcpy(peer.out, old, sizeof old);
	peer.out_size = sizeof old;
	CHECK_ERROR(ctx, szkr_resume_session(ctx, saved), szkr_err_protocol);
	/* And the response to an older RSTOR. */
	peer_reconnect(&peer);
	memcpy(peer.out, peer.last_out, sizeof old);
	peer.out_size = sizeof old;
	CHECK_ERROR(ctx, szkr_resume_session(ctx, saved), szkr_err_protocol);
	context_free(ctx);
	peer_free(&peer);
}

void test_resume(void)
{
	a_fresh_context_resumes_twice();
	the_same_context_resumes_twice();
	an_unknown_token_asks_for_a_handshake();
	a_lost_rstor_ack_can_be_tried_again();
	altered_responses_fail();
	a_reflected_rstor_fails();
}
