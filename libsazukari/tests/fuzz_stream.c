/*
 * Whatever a server sends, in handshake, resumption and message. The first byte
 * chooses; in the last two ways the packet gets a right MAC (and token), so
 * that what lies behind the check is reached.
 */
#include "fuzz.h"

#include "context.h"
#include "vectors.h"

enum way { HANDSHAKE, RESUME, MESSAGE, AUTHENTIC_MESSAGE, AUTHENTIC_RSTOR_ACK, ways };

static struct {
	struct input in;
	byte head[sizeof(struct szkri_msg)]; /* sent before the input */
	size_t head_at, head_size;
	length_t chunk;
	enum way way;
} server;

static szkr_ctx_t *ctx;
static EVP_PKEY *client_key;

/* Makes the header of an authentic packet, whose length and ciphertext are the
 * input's. */
static void authentic(enum szkri_type type, const byte key[MEGAKI_KEY_BYTES])
{
	struct szkri_msg *msg = (struct szkri_msg *)server.head;
	byte signed_part[MEGAKI_IV_BYTES + 4096];
	size_t n = server.in.left < 4 ? server.in.left : 4;
	szkri_put_head(&msg->head, type);
	memcpy(msg->length, server.in.p, n);
	server.in.p += n;
	server.in.left -= n;
	memcpy(msg->token, ctx->session.token, sizeof msg->token);
	memset(msg->iv, 7, sizeof msg->iv);
	length_t length = szkri_get_length(msg->length), covered = length <= 4096 ? szkri_padded(length) : 0;
	if (covered > server.in.left || covered > 4096)
		covered = 0;
	memcpy(signed_part, msg->iv, sizeof msg->iv);
	memcpy(signed_part + sizeof msg->iv, server.in.p, covered);
	CHECK_INT(szkri_mac(msg->mac, key, signed_part, sizeof msg->iv + covered), 0);
	server.head_size = sizeof server.head;
}

static slength_t on_write(byte *p, length_t size, void *param)
{
	byte augment[MEGAKI_KEY_BYTES], mid[MEGAKI_KEY_BYTES];
	(void)param;
	if (server.way == AUTHENTIC_MESSAGE) {
		authentic(SZKRI_MSG, ctx->session.key);
	} else if (server.way == AUTHENTIC_RSTOR_ACK) {
		const struct szkri_rstor *rstor = (const struct szkri_rstor *)p;
		CHECK_INT(szkri_decrypt(augment, ctx->session.key, rstor->msg.iv, rstor->ciphertext, sizeof augment), 0);
		szkri_derive(mid, ctx->session.key, augment);
		authentic(SZKRI_RSTOR_ACK, mid);
	}
	return (slength_t)size;
}

static slength_t on_read(byte *p, length_t size, void *param)
{
	(void)param;
	if (server.chunk != 0 && size > server.chunk)
		size = server.chunk;
	if (server.head_at < server.head_size) {
		size_t left = server.head_size - server.head_at;
		if (size > left)
			size = (length_t)left;
		memcpy(p, server.head + server.head_at, size);
		server.head_at += size;
		return (slength_t)size;
	}
	if (size > server.in.left)
		size = (length_t)server.in.left;
	if (size > 0)
		memcpy(p, server.in.p, size);
	server.in.p += size;
	server.in.left -= size;
	return (slength_t)size;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	szkr_iostream_t stream = {on_read, on_write, NULL};
	(void)argc;
	(void)argv;
	vectors_load();
	ctx = malloc((size_t)szkr_get_ctxsize());
	CHECK(ctx != NULL);
	CHECK_OK(ctx, szkr_new_ctx(ctx, stream, vector_pinned_key()));
	client_key = vector_client_key();
	ctx->client_key = client_key;
	return 0;
}

static void send_message(void)
{
	byte message[3] = "abc", *response;
	length_t length;
	if (szkr_send_message(ctx, message, sizeof message, &response, &length) < 0) {
		CHECK(response == NULL && length == 0);
		CHECK(ctx->state == SZKRI_BROKEN);
		return;
	}
	CHECK(server.way == AUTHENTIC_MESSAGE); /* nobody guesses a MAC */
	CHECK(length <= SAZUKARI_RESPONSE_HARD_LIMIT && response[length] == 0);
	CHECK(ctx->seen.used == 2);
	free(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct szkri_session session;
	memset(&session, 0x33, sizeof session);
	memset(&server, 0, sizeof server);
	server.in = (struct input){data, size};
	server.way = (enum way)(take_byte(&server.in) % ways);
	server.chunk = take_byte(&server.in);
	switch (server.way) {
	case HANDSHAKE:
		CHECK_OK(ctx, szkr_reset_ctx(ctx));
		CHECK(szkr_do_handshake(ctx) < 0);
		break;
	case RESUME:
	case AUTHENTIC_RSTOR_ACK:
		if (szkr_resume_session(ctx, (byte *)&session) == 0) {
			CHECK(server.way == AUTHENTIC_RSTOR_ACK);
			CHECK(ctx->state == SZKRI_READY);
			CHECK_BYTES(ctx->session.token, session.token, sizeof session.token);
		}
		break;
	default:
		szkri_begin(ctx, session.token, session.key);
		send_message();
	}
	return 0;
}
