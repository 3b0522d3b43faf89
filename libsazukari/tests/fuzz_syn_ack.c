/* A SYN-ACK as it comes, with a right MAC, and with a plaintext of the input's
 * under all. The first byte says which. */
#include "fuzz.h"

#include "handshake.h"
#include "keys.h"
#include "vectors.h"

static EVP_PKEY *client_key, *to_client;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	szkr_srvkey_t public_key;
	const char *reason;
	(void)argc;
	(void)argv;
	vectors_load();
	client_key = vector_client_key();
	CHECK_INT(szkri_public_key(client_key, &public_key), 0);
	to_client = szkri_load_key(&public_key, &reason);
	CHECK(to_client != NULL);
	return 0;
}

static int is_mark(const byte *token)
{
	for (int i = 0; i < MEGAKI_TOKEN_BYTES; i++)
		if (token[i] != 0xEE)
			return 0;
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct szkri_syn_ack p;
	struct szkri_secret plain, secret;
	byte ephemeral[MEGAKI_KEY_BYTES];
	const char *detail = "";
	int way = take_byte(&in);
	memset(ephemeral, 0x44, sizeof ephemeral);
	memset(&p, 0, sizeof p);
	memset(&plain, 0, sizeof plain);
	memset(&secret, 0, sizeof secret);
	memcpy(&p, in.p, in.left < sizeof p ? in.left : sizeof p);
	int sealed = way == 'S';
	if (sealed) { /* token outside, then the plaintext: few, since RSA takes its time */
		byte both[MEGAKI_TOKEN_BYTES + sizeof plain] = {0};
		memcpy(both, in.p, in.left < sizeof both ? in.left : sizeof both);
		memcpy(p.token, both, sizeof p.token);
		memcpy(&plain, both + sizeof p.token, sizeof plain);
		CHECK_INT(szkri_rsa_encrypt(p.block, to_client, (byte *)&plain, sizeof plain), 0);
	}
	if (sealed || way == 'M')
		CHECK_INT(szkri_mac(p.mac, ephemeral, p.block, sizeof p.block), 0);
	szkr_err_t error = szkri_open_syn_ack(&p, ephemeral, client_key, &secret, &detail);
	if (way != 'M' && !sealed)
		CHECK_INT(error, szkr_err_protocol); /* nobody guesses a MAC */
	if (error == szkr_err_none) {
		CHECK(!is_mark(secret.token) && !is_mark(p.token));
		CHECK_BYTES(p.token, secret.token, sizeof p.token);
		if (sealed)
			CHECK_BYTES(&secret, &plain, sizeof secret);
	} else {
		static const struct szkri_secret wiped;
		CHECK(detail[0] != '\0');
		CHECK_BYTES(&secret, &wiped, sizeof secret);
	}
	return 0;
}
