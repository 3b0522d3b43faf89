/* The recorded client and server, byte for byte. */
#include "test.h"

#include "handshake.h"
#include "keys.h"
#include "resume.h"
#include "vectors.h"

static void derive_gives_the_recorded_master_key(void)
{
	byte token[16], server_half[32], master[32], got[32];
	struct szkri_ack ack;
	struct szkri_secret client;
	vector_exact("handshake.token", token, sizeof token);
	vector_exact("handshake.server_symmetric", server_half, sizeof server_half);
	vector_exact("handshake.master_key", master, sizeof master);
	vector_exact("handshake.packets.2.hex", &ack, sizeof ack);
	CHECK_INT(szkri_decrypt((byte *)&client, server_half, ack.iv, ack.ciphertext, sizeof client), 0);
	CHECK_BYTES(client.token, token, sizeof token);
	szkri_derive(got, server_half, client.symmetric);
	CHECK_BYTES(got, master, sizeof master);
}

static void syn_opens_with_the_server_key(void)
{
	struct szkri_syn recorded, sealed;
	struct szkri_syn_plain plain, again;
	byte ephemeral[32];
	const char *reason;
	szkr_srvkey_t pinned = vector_pinned_key(), own;
	EVP_PKEY *server = vector_server_key(), *client = vector_client_key(), *pinned_key = szkri_load_key(&pinned, &reason);
	vector_exact("handshake.packets.0.hex", &recorded, sizeof recorded);
	vector_exact("handshake.ephemeral_key", ephemeral, sizeof ephemeral);
	CHECK(pinned_key != NULL);

	/* Open the recorded SYN, seal its plaintext anew, open that. */
	for (int i = 0; i < 2; i++) {
		const struct szkri_syn *syn = i == 0 ? &recorded : &sealed;
		byte *p = (byte *)(i == 0 ? &plain : &again);
		CHECK_INT(szkri_rsa_decrypt(p, 214, server, syn->block[0]), 0);
		CHECK_INT(szkri_rsa_decrypt(p + 214, 80, server, syn->block[1]), 0);
		for (size_t j = 0; j < 80; j++)
			p[214 + j] ^= p[j];
		if (i == 0)
			CHECK_INT(szkri_seal_syn(&sealed, &plain, pinned_key), 0);
	}
	CHECK_BYTES(&plain, &again, sizeof plain);
	CHECK_BYTES(plain.ephemeral, ephemeral, sizeof ephemeral);
	CHECK_BYTES(recorded.hash, sealed.hash, sizeof sealed.hash);
	CHECK_BYTES(&recorded.head, &sealed.head, sizeof sealed.head);
	CHECK_INT(szkri_public_key(client, &own), 0);
	CHECK_BYTES(plain.modulus, own.modulus, sizeof own.modulus);
	CHECK_BYTES(plain.exponent, own.exponent, sizeof own.exponent);
	EVP_PKEY_free(server);
	EVP_PKEY_free(client);
	EVP_PKEY_free(pinned_key);
}

static void syn_ack_opens(void)
{
	struct szkri_syn_ack p;
	struct szkri_secret secret;
	byte ephemeral[32], want[48];
	const char *detail = "";
	EVP_PKEY *client = vector_client_key();
	vector_exact("handshake.packets.1.hex", &p, sizeof p);
	vector_exact("handshake.ephemeral_key", ephemeral, sizeof ephemeral);
	vector_exact("handshake.token", want, 16);
	vector_exact("handshake.server_symmetric", want + 16, 32);
	CHECK_INT(szkri_open_syn_ack(&p, ephemeral, client, &secret, &detail), szkr_err_none);
	CHECK_BYTES(&secret, want, sizeof want);
	EVP_PKEY_free(client);
}

static void ack_is_sealed_to_the_byte(void)
{
	struct szkri_ack recorded, sealed;
	struct szkri_secret client;
	byte ephemeral[32], server_half[32];
	vector_exact("handshake.packets.2.hex", &recorded, sizeof recorded);
	vector_exact("handshake.ephemeral_key", ephemeral, sizeof ephemeral);
	vector_exact("handshake.server_symmetric", server_half, sizeof server_half);
	CHECK_INT(szkri_decrypt((byte *)&client, server_half, recorded.iv, recorded.ciphertext, sizeof client), 0);
	CHECK_INT(szkri_seal_ack(&sealed, &client, server_half, ephemeral, recorded.iv), 0);
	CHECK_BYTES(&sealed, &recorded, sizeof sealed);
}

/* Opens a recorded MSG, and seals its plaintext anew with the same IV and
 * filling, which must give the same bytes. */
static void check_msg(const char *path, const byte key[32], enum szkri_type type, const byte *want, size_t want_size)
{
	size_t size;
	byte *packet = vector_bytes(path, &size), *again = malloc(size), *plain = malloc(size);
	const struct szkri_msg *msg = (const struct szkri_msg *)packet;
	CHECK(again != NULL && plain != NULL && size >= sizeof *msg);
	length_t length = szkri_get_length(msg->length), n = (length_t)(size - sizeof *msg);
	CHECK_INT(msg->head.type, type);
	CHECK_INT(n, szkri_padded(length));
	CHECK(szkri_authentic(packet, key, n));
	CHECK_INT(szkri_decrypt(plain, key, msg->iv, packet + sizeof *msg, n), 0);
	if (want != NULL) {
		CHECK_INT(length, want_size);
		CHECK_BYTES(plain, want, want_size);
	}
	struct szkri_nonce nonce = {{0}, {0}};
	memcpy(nonce.iv, msg->iv, sizeof nonce.iv);
	length_t rest = length % 16;
	if (rest > 0)
		memcpy(nonce.filling + rest, plain + length, 16 - rest);
	CHECK_INT(szkri_seal(again, type, msg->token, key, &nonce, plain, length), 0);
	CHECK_BYTES(again, packet, size);
	packet[size - 1] ^= 1;
	CHECK(!szkri_authentic(packet, key, n));
	free(packet);
	free(again);
	free(plain);
}

static void check_round_trip(const char *path, const byte key[32])
{
	char field[128];
	const char *names[2] = {"request", "response"};
	for (int i = 0; i < 2; i++) {
		size_t size;
		snprintf(field, sizeof field, "%s.%s", path, names[i]);
		byte *want = vector_bytes(field, &size);
		snprintf(field, sizeof field, "%s.packets.%d.hex", path, i);
		check_msg(field, key, SZKRI_MSG, want, size);
		free(want);
	}
}

static void messages_open_and_are_sealed_to_the_byte(void)
{
	char path[64];
	byte master[32];
	int count = 0;
	vector_exact("handshake.master_key", master, sizeof master);
	for (;; count++) {
		snprintf(path, sizeof path, "messages.%d", count);
		if (!vector_has(path))
			break;
		check_round_trip(path, master);
	}
	CHECK(count >= 7);
}

static void resumption_gives_the_recorded_master_key(void)
{
	struct szkri_session session;
	struct szkri_rstor ack;
	byte augment[32], mid[32], server_augment[32], got[32], master[32];
	vector_exact("resumption.session_data", &session, sizeof session);
	vector_exact("resumption.client_augment", augment, sizeof augment);
	vector_exact("resumption.packets.1.hex", &ack, sizeof ack);
	vector_exact("resumption.master_key", master, sizeof master);
	check_msg("resumption.packets.0.hex", session.key, SZKRI_RSTOR, augment, sizeof augment);
	szkri_derive(mid, session.key, augment);
	check_msg("resumption.packets.1.hex", mid, SZKRI_RSTOR_ACK, NULL, 0);
	CHECK_INT(szkri_decrypt(server_augment, mid, ack.msg.iv, ack.ciphertext, 32), 0);
	szkri_derive(got, mid, server_augment);
	CHECK_BYTES(got, master, sizeof master);
	check_round_trip("resumption.message", master);
}

void test_recording(void)
{
	derive_gives_the_recorded_master_key();
	syn_opens_with_the_server_key();
	syn_ack_opens();
	ack_is_sealed_to_the_byte();
	messages_open_and_are_sealed_to_the_byte();
	resumption_gives_the_recorded_master_key();
}
