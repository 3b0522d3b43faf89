/* Messages of all sizes, and what someone on the path can do to them. */
#include "test.h"

#include "peer.h"

static szkr_ctx_t *session(struct peer *peer)
{
	peer_init(peer);
	szkr_ctx_t *ctx = peer_context(peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	return ctx;
}

static void send_fails(struct peer *peer, szkr_ctx_t *ctx, szkr_err_t error)
{
	byte message[20] = "what was it?", *response = message;
	length_t length = 7;
	(void)peer;
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, sizeof message, &response, &length), error);
	CHECK(response == NULL);
	CHECK_INT(length, 0);
}

/* Begins again, as after a new connection. */
static void resume(struct peer *peer, szkr_ctx_t *ctx)
{
	byte saved[48];
	void (*alter)(struct peer *, byte *, size_t *) = peer->alter;
	peer->alter = NULL;
	CHECK_OK(ctx, szkr_get_session_data(ctx, saved, NULL));
	peer_reconnect(peer);
	memcpy(peer->master, saved + 16, 32); /* whichever key it has promoted */
	CHECK_OK(ctx, szkr_resume_session(ctx, saved));
	memcpy(peer->master, peer->pending, 32);
	peer->alter = alter;
}

/* The reference wrote up to 15 bytes behind the caller's message. */
static void all_sizes_come_back_and_the_message_is_left_alone(void)
{
	static const length_t sizes[] = {1,    2,    15,   16,    17,    31,    32,    33,    63,     64,     100,     1000,
	                                 4016, 4017, 8192, 16384, 65535, 65536, 65537, 1000000, 1048575, 1048576};
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		length_t n = sizes[i], length;
		byte *message = malloc(n), *before = malloc(n), *response; /* to the byte: a sanitizer sees more */
		CHECK(message != NULL && before != NULL);
		for (length_t j = 0; j < n; j++)
			message[j] = before[j] = (byte)(j * 7 + j / 256 + n);
		CHECK_OK(ctx, szkr_send_message(ctx, message, n, &response, &length));
		CHECK_INT(length, n);
		CHECK_BYTES(response, before, n);
		CHECK_BYTES(message, before, n);
		CHECK_INT(response[n], 0);
		CHECK_INT(peer.request_length, n);
		CHECK_INT(peer.read_asked, 0);
		free(message);
		free(before);
		free(response);
	}
	CHECK_INT(peer.writes, 2 + (int)(sizeof sizes / sizeof *sizes)); /* one write a packet */
	context_free(ctx);
	peer_free(&peer);
}

static void an_empty_response_works(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	byte message = 'm', *response;
	length_t length = 7;
	peer.response = (const byte *)"";
	for (int i = 0; i < 3; i++) {
		CHECK_OK(ctx, szkr_send_message(ctx, &message, 1, &response, &length));
		CHECK_INT(length, 0);
		CHECK(response != NULL);
		free(response);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void what_is_too_long_or_empty_is_not_sent(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	byte *message = calloc(1, SAZUKARI_MESSAGE_HARD_LIMIT + 1), *response;
	length_t length;
	CHECK(message != NULL);
	int writes = peer.writes;
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, SAZUKARI_MESSAGE_HARD_LIMIT + 1, &response, &length), szkr_err_message_too_long);
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, UINT32_MAX, &response, &length), szkr_err_message_too_long);
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, 0, &response, &length), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_send_message(ctx, NULL, 1, &response, &length), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, 1, NULL, &length), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_send_message(ctx, message, 1, &response, NULL), szkr_err_invalid_state);
	CHECK_INT(peer.writes, writes);
	echo(ctx, "it can go on");
	free(message);
	context_free(ctx);
	peer_free(&peer);
}

/* A length over the limit is refused before it is rounded up, which wraps at 32
 * bits, or a byte allocated. */
static void set_length(struct peer *peer, byte *packet, size_t *size)
{
	(void)size;
	szkri_put_length(packet + 6, (length_t)peer->alter_at);
}

static void a_response_over_the_limit_is_left_unread(void)
{
	static const length_t lengths[] = {SAZUKARI_RESPONSE_HARD_LIMIT + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFF1, 0xFFFFFFFF};
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	peer.alter = set_length;
	peer.alter_type = SZKRI_MSG;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		peer.alter_at = lengths[i];
		send_fails(&peer, ctx, szkr_err_response_too_long);
		CHECK_INT(peer.out_size - peer.out_at, 32); /* the ciphertext */
		send_fails(&peer, ctx, szkr_err_invalid_state);
		resume(&peer, ctx);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void every_prefix_fails(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	peer.alter = cut_packet;
	peer.alter_type = SZKRI_MSG;
	for (size_t n = 0; n < sizeof(struct szkri_msg) + 32; n++) {
		peer.alter_at = n;
		send_fails(&peer, ctx, szkr_err_io);
		send_fails(&peer, ctx, szkr_err_invalid_state);
		resume(&peer, ctx);
	}
	context_free(ctx);
	peer_free(&peer);
}

/* Every bit but those of the length within the last block, which v1 doesn't
 * authenticate. */
static void every_flipped_bit_fails(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	peer.alter = flip_byte;
	peer.alter_type = SZKRI_MSG;
	for (size_t n = 0; n < sizeof(struct szkri_msg) + 32; n++) {
		for (int bit = 0; bit < 8; bit++) {
			peer.alter_at = n;
			peer.alter_by = (byte)(1 << bit);
			szkr_err_t error = szkr_err_protocol;
			if (n >= 6 && n < 10) {
				length_t altered = 20 ^ (length_t)peer.alter_by << 8 * (9 - n);
				if (szkri_padded(altered) == 32)
					continue;
				if (altered > SAZUKARI_RESPONSE_HARD_LIMIT)
					error = szkr_err_response_too_long;
				else if (altered > 32)
					error = szkr_err_io; /* more bytes than there are */
			}
			send_fails(&peer, ctx, error);
			resume(&peer, ctx);
		}
	}
	context_free(ctx);
	peer_free(&peer);
}

/* What v1 can't see, so that the documentation stays true. */
static void the_length_within_the_last_block_is_believed(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	byte message[20] = "twenty bytes of text", *response;
	length_t length;
	peer.alter = set_length;
	peer.alter_type = SZKRI_MSG;
	for (length_t n = 17; n <= 32; n++) {
		peer.alter_at = n;
		CHECK_OK(ctx, szkr_send_message(ctx, message, sizeof message, &response, &length));
		CHECK_INT(length, n);
		CHECK_BYTES(response, message, n < 20 ? n : 20);
		free(response);
	}
	context_free(ctx);
	peer_free(&peer);
}

static byte recorded[2048];
static size_t recorded_size;

static void send_recorded(struct peer *peer, byte *packet, size_t *size)
{
	(void)peer;
	memcpy(packet, recorded, recorded_size);
	*size = recorded_size;
}

/* Nothing that was sent or received under a key is taken once more. */
static void nothing_is_taken_twice(void)
{
	for (int own = 0; own < 2; own++) {
		struct peer peer;
		szkr_ctx_t *ctx = session(&peer);
		echo(ctx, "the first message");
		recorded_size = own ? peer.last_in_size : peer.last_out_size;
		memcpy(recorded, own ? peer.last_in : peer.last_out, recorded_size);
		for (int i = 0; i < 100; i++)
			echo(ctx, "the first message");
		peer.alter = send_recorded;
		peer.alter_type = SZKRI_MSG;
		send_fails(&peer, ctx, szkr_err_protocol);
		CHECK(strstr(szkr_last_error_detail(ctx), "before") != NULL);
		context_free(ctx);
		peer_free(&peer);
	}
}

/* The message itself, sent back at once. */
static void reflect(struct peer *peer, byte *packet, size_t *size)
{
	memcpy(packet, peer->last_in, peer->last_in_size);
	*size = peer->last_in_size;
}

static void a_reflected_message_fails(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	peer.alter = reflect;
	peer.alter_type = SZKRI_MSG;
	send_fails(&peer, ctx, szkr_err_protocol);
	CHECK(strstr(szkr_last_error_detail(ctx), "before") != NULL);
	context_free(ctx);
	peer_free(&peer);
}

/* A response from before a resumption is under another key. */
static void a_response_under_an_old_key_fails(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	echo(ctx, "under the old key");
	recorded_size = peer.last_out_size;
	memcpy(recorded, peer.last_out, recorded_size);
	resume(&peer, ctx);
	peer.alter = send_recorded;
	peer.alter_type = SZKRI_MSG;
	send_fails(&peer, ctx, szkr_err_protocol);
	CHECK(strstr(szkr_last_error_detail(ctx), "MAC") != NULL);
	context_free(ctx);
	peer_free(&peer);
}

static void another_type(struct peer *peer, byte *packet, size_t *size)
{
	(void)size;
	packet[5] = peer->alter_by;
}

/* A packet of 6 bytes in place of a response blocked the reference, which waited
 * for 74. */
static void a_packet_of_another_type_fails_at_once(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	peer.alter = another_type;
	peer.alter_type = SZKRI_MSG;
	for (int type = 0; type < 256; type++) {
		if (type == SZKRI_MSG)
			continue;
		peer.alter_by = (byte)type;
		peer.read_asked = 0;
		send_fails(&peer, ctx, szkr_err_protocol);
		CHECK_INT(peer.out_at, sizeof(struct szkri_head));
		resume(&peer, ctx);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void a_key_carries_only_so_many_messages(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	CHECK_ERROR(ctx, szkr_set_max_messages(ctx, 0), szkr_err_invalid_state);
	CHECK_ERROR(ctx, szkr_set_max_messages(ctx, 1048577), szkr_err_invalid_state);
	CHECK_OK(ctx, szkr_set_max_messages(ctx, 3));
	for (int i = 0; i < 3; i++)
		echo(ctx, "one of three");
	int writes = peer.writes;
	send_fails(&peer, ctx, szkr_err_io);
	CHECK_INT(peer.writes, writes);
	resume(&peer, ctx);
	for (int i = 0; i < 3; i++)
		echo(ctx, "one of three");
	send_fails(&peer, ctx, szkr_err_io);
	context_free(ctx);
	peer_free(&peer);
}

/* As many as a key carries unless set, and what the context then remembers. */
static void the_memory_of_macs_is_bounded(void)
{
	struct peer peer;
	szkr_ctx_t *ctx = session(&peer);
	int n = getenv("SAZUKARI_TEST_SHORT") != NULL ? 500 : SZKRI_DEFAULT_MAX_MESSAGES;
	CHECK_OK(ctx, szkr_set_max_messages(ctx, (length_t)n));
	for (int i = 0; i < n; i++)
		echo(ctx, "x");
	send_fails(&peer, ctx, szkr_err_io);
	CHECK_INT(ctx->seen.used, 2 * n);
	CHECK(ctx->seen.size * sizeof *ctx->seen.table <= (size_t)n * 64);
	context_free(ctx);
	peer_free(&peer);
}

void test_message(void)
{
	all_sizes_come_back_and_the_message_is_left_alone();
	an_empty_response_works();
	what_is_too_long_or_empty_is_not_sent();
	a_response_over_the_limit_is_left_unread();
	every_prefix_fails();
	every_flipped_bit_fails();
	the_length_within_the_last_block_is_believed();
	nothing_is_taken_twice();
	a_reflected_message_fails();
	a_response_under_an_old_key_fails();
	a_packet_of_another_type_fails_at_once();
	a_key_carries_only_so_many_messages();
	the_memory_of_macs_is_bounded();
}
