#include "handshake.h"

#include <string.h>

#include <openssl/crypto.h>

#include "keys.h"
#include "net.h"
#include "wire.h"

static const byte version[MEGAKI_VERSION_BYTES] = {0x0A, 0xFF};

int szkri_seal_syn(struct szkri_syn *syn, const struct szkri_syn_plain *plain, EVP_PKEY *server_key)
{
	enum { first = MEGAKI_RSA_PLAIN_BYTES, second = sizeof *plain - first };
	const byte *p = (const byte *)plain;
	byte folded[second];
	szkri_put_head(&syn->head, SZKRI_SYN);
	for (size_t i = 0; i < second; i++)
		folded[i] = p[first + i] ^ p[i];
	int failed = szkri_sha256(syn->hash, plain, sizeof *plain) < 0 ||
	             szkri_rsa_encrypt(syn->block[0], server_key, p, first) < 0 ||
	             szkri_rsa_encrypt(syn->block[1], server_key, folded, second) < 0;
	OPENSSL_cleanse(folded, sizeof folded);
	return failed ? -1 : 0;
}

static int is_error_mark(const byte token[MEGAKI_TOKEN_BYTES])
{
	int same = 1;
	for (size_t i = 0; i < MEGAKI_TOKEN_BYTES; i++)
		same &= token[i] == 0xEE;
	return same;
}

/* The error of a code, which zeros fill up to size bytes. */
static szkr_err_t code_error(const byte *code, size_t size)
{
	for (size_t i = 2; i < size; i++)
		if (code[i] != 0)
			return szkr_err_unknown_errcode;
	switch (code[0] << 8 | code[1]) {
	case 0x0100:
		return szkr_err_incompatible_versions;
	case 0x0200:
		return szkr_err_service_unavailable;
	case 0x03FF:
		return szkr_err_server_blacklisted;
	}
	return szkr_err_unknown_errcode;
}

szkr_err_t szkri_judge_secret(const byte token[MEGAKI_TOKEN_BYTES], struct szkri_secret *secret, const char **detail)
{
	/* The reference's server puts the mark into the inner token, its client
	 * looks for it in the outer one: two forms of an error. */
	szkr_err_t error = szkr_err_none;
	if (is_error_mark(secret->token))
		error = code_error(secret->symmetric, sizeof secret->symmetric);
	else if (is_error_mark(token))
		error = code_error(secret->token, sizeof secret->token);
	if (error != szkr_err_none) {
		*detail = "the server refused the handshake";
	} else if (CRYPTO_memcmp(token, secret->token, sizeof secret->token) != 0) {
		*detail = "a SYN-ACK with two tokens: someone changed the packet";
		error = szkr_err_protocol;
	}
	if (error != szkr_err_none)
		OPENSSL_cleanse(secret, sizeof *secret);
	return error;
}

szkr_err_t szkri_open_syn_ack(const struct szkri_syn_ack *p, const byte ephemeral[MEGAKI_KEY_BYTES], EVP_PKEY *client_key,
                              struct szkri_secret *secret, const char **detail)
{
	if (!szkri_mac_is(p->mac, ephemeral, p->block, sizeof p->block)) {
		*detail = "a SYN-ACK with a wrong MAC: the server doesn't have the pinned key, or someone changed the packet";
		return szkr_err_protocol;
	}
	if (szkri_rsa_decrypt(secret, sizeof *secret, client_key, p->block) < 0) {
		*detail = "a SYN-ACK that isn't encrypted to the client's key";
		return szkr_err_protocol;
	}
	return szkri_judge_secret(p->token, secret, detail);
}

int szkri_seal_ack(struct szkri_ack *ack, const struct szkri_secret *client, const byte server_symmetric[MEGAKI_KEY_BYTES],
                   const byte ephemeral[MEGAKI_KEY_BYTES], const byte iv[MEGAKI_IV_BYTES])
{
	static const byte none[MEGAKI_BLOCK_BYTES]; /* the secret fills whole blocks */
	szkri_put_head(&ack->head, SZKRI_ACK);
	memcpy(ack->token, client->token, sizeof ack->token);
	memcpy(ack->iv, iv, sizeof ack->iv);
	if (szkri_encrypt(ack->ciphertext, server_symmetric, iv, (const byte *)client, sizeof *client, none) < 0)
		return -1;
	return szkri_mac(ack->mac, ephemeral, (const byte *)ack + offsetof(struct szkri_ack, iv),
	                 sizeof ack->iv + sizeof ack->ciphertext);
}

/* All that a handshake must wipe. */
struct secrets {
	struct szkri_syn_plain plain;
	struct szkri_secret server;
	struct szkri_secret client;
	byte master[MEGAKI_KEY_BYTES];
};

static int send_syn(szkr_ctx_t *ctx, struct szkri_syn_plain *plain)
{
	szkr_srvkey_t own;
	struct szkri_syn syn;
	if (szkri_public_key(ctx->client_key, &own) < 0)
		return szkri_fail(ctx, szkr_err_internal, "the RSA key couldn't be read");
	memcpy(plain->modulus, own.modulus, sizeof plain->modulus);
	memcpy(plain->exponent, own.exponent, sizeof plain->exponent);
	memcpy(plain->version, version, sizeof plain->version);
	if (szkri_random(plain->ephemeral, sizeof plain->ephemeral) < 0)
		return szkri_fail(ctx, szkr_err_internal, "no random bytes");
	if (szkri_seal_syn(&syn, plain, ctx->server_key) < 0)
		return szkri_fail(ctx, szkr_err_internal, "the SYN couldn't be encrypted to the server's key");
	return szkri_write(ctx, &syn, sizeof syn);
}

static int receive_syn_ack(szkr_ctx_t *ctx, struct secrets *s)
{
	struct szkri_syn_ack p;
	const char *detail = "";
	if (szkri_read_head(ctx, &p.head, SZKRI_SYN_ACK, SZKRI_SYN_ACK) < 0 || szkri_read_rest(ctx, &p, sizeof p) < 0)
		return -1;
	szkr_err_t error = szkri_open_syn_ack(&p, s->plain.ephemeral, ctx->client_key, &s->server, &detail);
	return error == szkr_err_none ? 0 : szkri_break(ctx, error, detail);
}

static int send_ack(szkr_ctx_t *ctx, struct secrets *s)
{
	byte iv[MEGAKI_IV_BYTES];
	struct szkri_ack ack;
	memcpy(s->client.token, s->server.token, sizeof s->client.token);
	if (szkri_random(iv, sizeof iv) < 0 || szkri_random(s->client.symmetric, sizeof s->client.symmetric) < 0)
		return szkri_break(ctx, szkr_err_internal, "no random bytes");
	if (szkri_seal_ack(&ack, &s->client, s->server.symmetric, s->plain.ephemeral, iv) < 0)
		return szkri_break(ctx, szkr_err_internal, "the ACK couldn't be encrypted");
	return szkri_write(ctx, &ack, sizeof ack);
}

static int exchange(szkr_ctx_t *ctx, struct secrets *s)
{
	struct szkri_head ack_ack;
	if (send_syn(ctx, &s->plain) < 0 || receive_syn_ack(ctx, s) < 0 || send_ack(ctx, s) < 0 ||
	    szkri_read_head(ctx, &ack_ack, SZKRI_ACK_ACK, SZKRI_ACK_ACK) < 0)
		return -1;
	szkri_derive(s->master, s->server.symmetric, s->client.symmetric);
	szkri_begin(ctx, s->server.token, s->master);
	return 0;
}

int szkri_handshake(szkr_ctx_t *ctx)
{
	struct secrets s;
	memset(&s, 0, sizeof s);
	int result = exchange(ctx, &s);
	OPENSSL_cleanse(&s, sizeof s);
	return result;
}

int szkr_do_handshake(szkr_ctx_t *ctx)
{
	if (!szkri_enter(ctx))
		return -1;
	if (ctx->state != SZKRI_FRESH)
		return szkri_leave(szkri_fail(ctx, szkr_err_invalid_state, "a handshake needs a new context, or one that was reset"));
	if (szkri_make_key(ctx) < 0 || szkri_ensure(ctx) < 0)
		return szkri_leave(-1);
	return szkri_leave(szkri_handshake(ctx));
}
