#include "peer.h"

#include "keys.h"
#include "test.h"
#include "vectors.h"

enum { capacity = 4 << 20 };

static size_t packet_size(const byte *p, size_t n)
{
	if (n < 10)
		return SIZE_MAX; /* the client sends nothing so short */
	switch (p[5]) {
	case SZKRI_SYN:
		return sizeof(struct szkri_syn);
	case SZKRI_ACK:
		return sizeof(struct szkri_ack);
	default:
		return sizeof(struct szkri_msg) + szkri_padded(szkri_get_length(p + 6));
	}
}

void peer_send(struct peer *peer, const byte *packet, size_t size)
{
	byte *p = malloc(size + 1);
	CHECK(p != NULL);
	memcpy(p, packet, size);
	peer->last_out_size = size < sizeof peer->last_out ? size : sizeof peer->last_out;
	memcpy(peer->last_out, packet, peer->last_out_size);
	if (peer->alter != NULL && packet[5] == peer->alter_type)
		peer->alter(peer, p, &size);
	CHECK(peer->out_size + size <= capacity);
	memcpy(peer->out + peer->out_size, p, size);
	peer->out_size += size;
	free(p);
}

void flip_byte(struct peer *peer, byte *packet, size_t *size)
{
	CHECK(peer->alter_at < *size);
	packet[peer->alter_at] ^= peer->alter_by;
}

void cut_packet(struct peer *peer, byte *packet, size_t *size)
{
	(void)packet;
	CHECK(peer->alter_at < *size);
	*size = peer->alter_at;
}

void peer_send_msg(struct peer *peer, enum szkri_type type, const byte key[MEGAKI_KEY_BYTES], const byte *plain, length_t length)
{
	struct szkri_nonce nonce;
	size_t size = sizeof(struct szkri_msg) + szkri_padded(length);
	byte *packet = malloc(size);
	CHECK(packet != NULL);
	CHECK_INT(szkri_random(&nonce, sizeof nonce), 0);
	CHECK_INT(szkri_seal(packet, type, peer->token, key, &nonce, plain, length), 0);
	peer_send(peer, packet, size);
	free(packet);
}

static void on_syn(struct peer *peer, const struct szkri_syn *syn)
{
	struct szkri_syn_plain plain;
	struct szkri_secret secret;
	struct szkri_syn_ack response;
	byte *p = (byte *)&plain, hash[MEGAKI_HASH_BYTES];
	const char *reason;
	CHECK_INT(szkri_rsa_decrypt(p, 214, peer->key, syn->block[0]), 0);
	CHECK_INT(szkri_rsa_decrypt(p + 214, 80, peer->key, syn->block[1]), 0);
	for (size_t i = 0; i < 80; i++)
		p[214 + i] ^= p[i];
	CHECK_INT(szkri_sha256(hash, &plain, sizeof plain), 0);
	CHECK_BYTES(hash, syn->hash, sizeof hash);
	CHECK_BYTES(plain.version, "\x0A\xFF", 2);
	memcpy(peer->ephemeral, plain.ephemeral, sizeof peer->ephemeral);
	memcpy(peer->client_key.modulus, plain.modulus, sizeof plain.modulus);
	memcpy(peer->client_key.exponent, plain.exponent, sizeof plain.exponent);

	CHECK_INT(szkri_random(peer->token, sizeof peer->token), 0);
	CHECK_INT(szkri_random(peer->server_half, sizeof peer->server_half), 0);
	memcpy(secret.token, peer->token, sizeof secret.token);
	memcpy(secret.symmetric, peer->server_half, sizeof secret.symmetric);
	szkri_put_head(&response.head, SZKRI_SYN_ACK);
	memcpy(response.token, peer->token, sizeof response.token);
	if (peer->error_form == FORM_OUTER || peer->error_form == FORM_BOTH) {
		memset(response.token, 0xEE, sizeof response.token);
		memcpy(secret.token, peer->code, sizeof secret.token);
		if (peer->error_form == FORM_BOTH)
			memcpy(secret.symmetric, peer->code, sizeof secret.symmetric);
	} else if (peer->error_form == FORM_INNER) {
		memset(secret.token, 0xEE, sizeof secret.token);
		memcpy(secret.symmetric, peer->code, sizeof secret.symmetric);
	}
	EVP_PKEY *client = szkri_load_key(&peer->client_key, &reason);
	CHECK(client != NULL);
	CHECK_INT(szkri_rsa_encrypt(response.block, client, (byte *)&secret, sizeof secret), 0);
	EVP_PKEY_free(client);
	CHECK_INT(szkri_mac(response.mac, peer->ephemeral, response.block, sizeof response.block), 0);
	peer_send(peer, (byte *)&response, sizeof response);
}

static void on_ack(struct peer *peer, const struct szkri_ack *ack)
{
	struct szkri_secret secret;
	struct szkri_head response;
	CHECK_INT(peer->error_form, 0); /* an error is never acknowledged */
	CHECK(szkri_mac_is(ack->mac, peer->ephemeral, ack->iv, sizeof ack->iv + sizeof ack->ciphertext));
	CHECK_INT(szkri_decrypt((byte *)&secret, peer->server_half, ack->iv, ack->ciphertext, sizeof secret), 0);
	CHECK_BYTES(secret.token, peer->token, sizeof secret.token);
	CHECK_BYTES(ack->token, peer->token, sizeof ack->token);
	szkri_derive(peer->master, peer->server_half, secret.symmetric);
	peer->knows_session = 1;
	szkri_put_head(&response, SZKRI_ACK_ACK);
	peer_send(peer, (byte *)&response, sizeof response);
}

static void on_rstor(struct peer *peer, const byte *packet)
{
	const struct szkri_rstor *p = (const struct szkri_rstor *)packet;
	byte augment[MEGAKI_KEY_BYTES], mid[MEGAKI_KEY_BYTES];
	struct szkri_head rehs;
	if (!peer->knows_session || memcmp(p->msg.token, peer->token, sizeof peer->token) != 0 ||
	    !szkri_authentic(packet, peer->master, sizeof p->ciphertext)) {
		szkri_put_head(&rehs, SZKRI_REQ_REHS);
		peer_send(peer, (byte *)&rehs, sizeof rehs);
		return;
	}
	CHECK_INT(szkri_decrypt(augment, peer->master, p->msg.iv, p->ciphertext, sizeof augment), 0);
	szkri_derive(mid, peer->master, augment);
	CHECK_INT(szkri_random(augment, sizeof augment), 0);
	szkri_derive(peer->pending, mid, augment);
	peer_send_msg(peer, SZKRI_RSTOR_ACK, mid, augment, sizeof augment);
}

static void on_msg(struct peer *peer, const byte *packet, size_t size)
{
	const struct szkri_msg *p = (const struct szkri_msg *)packet;
	length_t n = (length_t)(size - sizeof *p), length = szkri_get_length(p->length);
	byte *plain = malloc(n + 1);
	CHECK(plain != NULL);
	if (!szkri_authentic(packet, peer->master, n)) {
		CHECK(szkri_authentic(packet, peer->pending, n));
		memcpy(peer->master, peer->pending, sizeof peer->master);
	}
	CHECK_INT(szkri_decrypt(plain, peer->master, p->iv, packet + sizeof *p, n), 0);
	memcpy(peer->message_token, p->token, sizeof peer->message_token);
	peer->request_length = length;
	memcpy(peer->request, plain, length < sizeof peer->request ? length : sizeof peer->request);
	if (peer->response != NULL)
		peer_send_msg(peer, SZKRI_MSG, peer->master, peer->response, peer->response_length);
	else
		peer_send_msg(peer, SZKRI_MSG, peer->master, plain, length);
	free(plain);
}

static void on_packet(struct peer *peer, const byte *p, size_t size)
{
	CHECK_BYTES(p, "MGK\xAA\xCA", 5);
	peer->last_in_size = size < sizeof peer->last_in ? size : sizeof peer->last_in;
	memcpy(peer->last_in, p, peer->last_in_size);
	if (peer->silent)
		return;
	switch (p[5]) {
	case SZKRI_SYN:
		on_syn(peer, (const struct szkri_syn *)p);
		return;
	case SZKRI_ACK:
		on_ack(peer, (const struct szkri_ack *)p);
		return;
	case SZKRI_RSTOR:
		on_rstor(peer, p);
		return;
	case SZKRI_MSG:
		on_msg(peer, p, size);
		return;
	}
	CHECK(!"a type that the server knows");
}

static slength_t write_peer(byte *p, length_t length, void *param)
{
	struct peer *peer = param;
	peer->writes++;
	if (peer->write_chunk != 0 && length > peer->write_chunk)
		length = peer->write_chunk;
	CHECK(peer->in_size + length <= capacity);
	memcpy(peer->in + peer->in_size, p, length);
	peer->in_size += length;
	if (peer->in_size >= packet_size(peer->in, peer->in_size)) {
		CHECK_INT(peer->in_size, packet_size(peer->in, peer->in_size));
		size_t size = peer->in_size;
		peer->in_size = 0;
		on_packet(peer, peer->in, size);
	}
	return (slength_t)length;
}

static slength_t read_peer(byte *p, length_t length, void *param)
{
	struct peer *peer = param;
	size_t left = peer->out_size - peer->out_at, n = length;
	if (n > left) {
		if (n - left > peer->read_asked)
			peer->read_asked = n - left;
		n = left;
	}
	if (peer->chunk != 0 && n > peer->chunk)
		n = peer->chunk;
	memcpy(p, peer->out + peer->out_at, n);
	peer->out_at += n;
	if (peer->out_at == peer->out_size)
		peer->out_at = peer->out_size = 0;
	return (slength_t)n;
}

szkr_iostream_t peer_stream(struct peer *peer)
{
	szkr_iostream_t stream = {read_peer, write_peer, peer};
	return stream;
}

void peer_init(struct peer *peer)
{
	memset(peer, 0, sizeof *peer);
	peer->key = vector_server_key();
	peer->in = malloc(capacity);
	peer->out = malloc(capacity);
	CHECK(peer->in != NULL && peer->out != NULL);
}

void peer_reconnect(struct peer *peer)
{
	peer->in_size = peer->out_size = peer->out_at = 0;
}

void peer_free(struct peer *peer)
{
	EVP_PKEY_free(peer->key);
	free(peer->in);
	free(peer->out);
}

szkr_ctx_t *peer_context(struct peer *peer)
{
	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	CHECK(ctx != NULL);
	memset(ctx, 0xA5, (size_t)szkr_get_ctxsize());
	CHECK_OK(ctx, szkr_new_ctx(ctx, peer_stream(peer), vector_pinned_key()));
	ctx->client_key = vector_client_key();
	return ctx;
}

void context_free(szkr_ctx_t *ctx)
{
	szkr_destroy_ctx(ctx);
	free(ctx);
}

void echo(szkr_ctx_t *ctx, const char *message)
{
	byte *response;
	length_t length;
	char copy[256];
	CHECK(strlen(message) < sizeof copy);
	strcpy(copy, message);
	CHECK_OK(ctx, szkr_send_message(ctx, (byte *)copy, (length_t)strlen(copy), &response, &length));
	CHECK_INT(length, strlen(message));
	CHECK_BYTES(response, message, length);
	CHECK_INT(response[length], 0);
	free(response);
}
