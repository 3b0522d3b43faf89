/* Handshakes with a server that behaves well, badly, or refuses. */
#include "test.h"

#include "peer.h"
#include "vectors.h"

static void a_handshake_makes_a_session(void)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK_INT(peer.writes, 2); /* each packet in one piece */
	CHECK_INT(peer.read_asked, 0);
	byte saved[48];
	length_t size = 0;
	CHECK_OK(ctx, szkr_get_session_data(ctx, saved, &size));
	CHECK_INT(size, 48);
	CHECK_BYTES(saved, peer.token, 16);
	CHECK_BYTES(saved + 16, peer.master, 32);
	echo(ctx, "hello");
	context_free(ctx);
	peer_free(&peer);
}

static void any_segmentation_works(void)
{
	for (length_t chunk = 1; chunk < 8; chunk += 2) {
		struct peer peer;
		peer_init(&peer);
		peer.chunk = peer.write_chunk = chunk;
		szkr_ctx_t *ctx = peer_context(&peer);
		CHECK_OK(ctx, szkr_do_handshake(ctx));
		echo(ctx, "in small pieces, over more than one block");
		context_free(ctx);
		peer_free(&peer);
	}
}

/* Alters one packet of the server; the handshake must fail with the error. */
static void expect_failure(struct peer *peer, szkr_ctx_t *ctx, szkr_err_t error)
{
	byte saved[48];
	CHECK_OK(ctx, szkr_reset_ctx(ctx));
	peer_reconnect(peer);
	peer->knows_session = 0;
	CHECK_ERROR(ctx, szkr_do_handshake(ctx), error);
	CHECK_ERROR(ctx, szkr_get_session_data(ctx, saved, NULL), szkr_err_invalid_state);
}

static void every_prefix_fails(enum szkri_type type, size_t size)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	peer.alter = cut_packet;
	peer.alter_type = type;
	for (size_t n = 0; n < size; n += (size_t)stride(37)) {
		peer.alter_at = n;
		expect_failure(&peer, ctx, szkr_err_io);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void every_flipped_byte_fails(enum szkri_type type, size_t size)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	peer.alter = flip_byte;
	peer.alter_type = type;
	for (size_t n = 0; n < size; n += (size_t)stride(23)) {
		peer.alter_at = n;
		peer.alter_by = (byte)(1 << n % 8);
		expect_failure(&peer, ctx, szkr_err_protocol);
		if (type == SZKRI_SYN_ACK)
			CHECK_INT(peer.last_in[5], SZKRI_SYN); /* no ACK was sent */
	}
	context_free(ctx);
	peer_free(&peer);
}

static void errors_have_names_in_every_form(void)
{
	static const struct {
		byte code[2];
		szkr_err_t error;
	} codes[] = {
		{{0x01, 0x00}, szkr_err_incompatible_versions}, {{0x02, 0x00}, szkr_err_service_unavailable},
		{{0x03, 0xFF}, szkr_err_server_blacklisted},    {{0x03, 0x00}, szkr_err_unknown_errcode},
		{{0x00, 0x00}, szkr_err_unknown_errcode},       {{0x01, 0x01}, szkr_err_unknown_errcode},
	};
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	for (int form = FORM_OUTER; form <= FORM_BOTH; form++) {
		peer.error_form = (enum error_form)form;
		for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
			memset(peer.code, 0, sizeof peer.code);
			memcpy(peer.code, codes[i].code, 2);
			expect_failure(&peer, ctx, codes[i].error);
			peer.code[form == FORM_INNER ? 31 : 15] = 1; /* not filled with zeros */
			expect_failure(&peer, ctx, szkr_err_unknown_errcode);
		}
	}
	/* The code isn't believed before the MAC is right. */
	peer.alter = flip_byte;
	peer.alter_type = SZKRI_SYN_ACK;
	peer.alter_at = 6;
	peer.alter_by = 1;
	memset(peer.code, 0, sizeof peer.code);
	peer.code[0] = 2;
	for (int form = FORM_OUTER; form <= FORM_BOTH; form++) {
		peer.error_form = (enum error_form)form;
		expect_failure(&peer, ctx, szkr_err_protocol);
	}
	context_free(ctx);
	peer_free(&peer);
}

static void mark_outer(struct peer *peer, byte *packet, size_t *size)
{
	(void)peer;
	(void)size;
	memset(packet + 38, 0xEE, 16);
}

/* Someone on the path can write the mark of an error over the outer token. The
 * client then fails, and doesn't take the token for one. */
static void a_forged_error_is_no_session(void)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	peer.alter = mark_outer;
	peer.alter_type = SZKRI_SYN_ACK;
	expect_failure(&peer, ctx, szkr_err_unknown_errcode);
	CHECK_INT(peer.last_in[5], SZKRI_SYN);
	context_free(ctx);
	peer_free(&peer);
}

static void another_type(struct peer *peer, byte *packet, size_t *size)
{
	(void)size;
	packet[5] = peer->alter_by;
}

static void a_packet_of_another_type_fails(void)
{
	static const enum szkri_type types[] = {SZKRI_SYN_ACK, SZKRI_ACK_ACK};
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	peer.alter = another_type;
	for (size_t i = 0; i < 2; i++) {
		peer.alter_type = types[i];
		for (int type = 0; type < 256; type += stride(31)) {
			peer.alter_by = (byte)type;
			if (type != (int)types[i])
				expect_failure(&peer, ctx, szkr_err_protocol);
		}
	}
	context_free(ctx);
	peer_free(&peer);
}

/* A right MAC over what no key, or another one, has encrypted. */
static void replace_block(struct peer *peer, byte *packet, size_t *size)
{
	struct szkri_syn_ack *p = (struct szkri_syn_ack *)packet;
	byte plain[49] = {0};
	(void)size;
	if (peer->alter_at == 0)
		memset(p->block, 0x21, sizeof p->block);
	else if (peer->alter_at == 1)
		CHECK_INT(szkri_rsa_encrypt(p->block, peer->key, plain, 48), 0); /* to the server's own key */
	else
		CHECK_INT(szkri_rsa_encrypt(p->block, peer->to_client, plain, peer->alter_at), 0);
	CHECK_INT(szkri_mac(p->mac, peer->ephemeral, p->block, sizeof p->block), 0);
}

static void a_secret_that_does_not_open_fails(void)
{
	static const size_t sizes[] = {0, 1, 47, 49};
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	peer.alter = replace_block;
	peer.alter_type = SZKRI_SYN_ACK;
	peer.to_client = ctx->client_key;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		peer.alter_at = sizes[i];
		expect_failure(&peer, ctx, szkr_err_protocol);
		CHECK_INT(peer.last_in[5], SZKRI_SYN);
	}
	context_free(ctx);
	peer_free(&peer);
}

/* A recorded SYN-ACK doesn't fit another SYN. */
static void an_old_syn_ack_fails(void)
{
	struct peer peer;
	byte old[sizeof(struct szkri_syn_ack)];
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	vector_exact("handshake.packets.1.hex", old, sizeof old);
	peer.silent = 1;
	memcpy(peer.out, old, sizeof old);
	peer.out_size = sizeof old;
	CHECK_ERROR(ctx, szkr_do_handshake(ctx), szkr_err_protocol);
	context_free(ctx);
	peer_free(&peer);
}

void test_handshake(void)
{
	a_handshake_makes_a_session();
	any_segmentation_works();
	every_prefix_fails(SZKRI_SYN_ACK, sizeof(struct szkri_syn_ack));
	every_prefix_fails(SZKRI_ACK_ACK, sizeof(struct szkri_head));
	every_flipped_byte_fails(SZKRI_SYN_ACK, sizeof(struct szkri_syn_ack));
	every_flipped_byte_fails(SZKRI_ACK_ACK, sizeof(struct szkri_head));
	errors_have_names_in_every_form();
	a_forged_error_is_no_session();
	a_packet_of_another_type_fails();
	a_secret_that_does_not_open_fails();
	an_old_syn_ack_fails();
}
