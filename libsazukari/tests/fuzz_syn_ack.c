/* A SYN-ACK as it comes, and, if the first byte is 'S', what is decrypted of one
 * with a right MAC: the token outside, then the secret. */
#include "fuzz.h"

#include "handshake.h"
#include "vectors.h"

static EVP_PKEY *client_key;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	vectors_load();
	client_key = vector_client_key();
	return 0;
}

static int is_mark(const byte *token)
{
	for (int i = 0; i < MEGAKI_TOKEN_BYTES; i++)
		if (token[i] != 0xEE)
			return 0;
	return 1;
}

static void judge(const struct input *in)
{
	static const struct szkri_secret wiped;
	byte token[MEGAKI_TOKEN_BYTES], both[sizeof token + sizeof(struct szkri_secret)] = {0};
	struct szkri_secret secret, before;
	const char *detail = "";
	memcpy(both, in->p, in->left < sizeof both ? in->left : sizeof both);
	memcpy(token, both, sizeof token);
	memcpy(&secret, both + sizeof token, sizeof secret);
	before = secret;
	if (szkri_judge_secret(token, &secret, &detail) == szkr_err_none) {
		CHECK(!is_mark(before.token) && !is_mark(token));
		CHECK_BYTES(token, before.token, sizeof token);
		CHECK_BYTES(&secret, &before, sizeof secret);
	} else {
		CHECK(detail[0] != '\0');
		CHECK_BYTES(&secret, &wiped, sizeof secret);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct szkri_syn_ack p;
	struct szkri_secret secret;
	byte ephemeral[MEGAKI_KEY_BYTES];
	const char *detail = "";
	if (size == 0)
		return 0;
	if (take_byte(&in) == 'S') {
		judge(&in);
		return 0;
	}
	memset(ephemeral, 0x44, sizeof ephemeral);
	memset(&p, 0, sizeof p);
	memcpy(&p, in.p, in.left < sizeof p ? in.left : sizeof p);
	/* Nobody guesses a MAC. */
	CHECK_INT(szkri_open_syn_ack(&p, ephemeral, client_key, &secret, &detail), szkr_err_protocol);
	CHECK(detail[0] != '\0');
	return 0;
}
