/* A public key: PEM, or 260 bytes; and its DER alone, if the first byte is 'D'. */
#include "fuzz.h"

#include <openssl/err.h>

#include "keys.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Puts DER into PEM, so that the input needs no base64. */
static size_t to_pem(char *out, const uint8_t *der, size_t size, const char *name)
{
	size_t n = (size_t)sprintf(out, "-----BEGIN %s-----\n", name);
	for (size_t i = 0; i < size; i += 3) {
		unsigned v = (unsigned)der[i] << 16 | (i + 1 < size ? (unsigned)der[i + 1] << 8 : 0) | (i + 2 < size ? der[i + 2] : 0u);
		out[n++] = base64[v >> 18];
		out[n++] = base64[v >> 12 & 63];
		out[n++] = i + 1 < size ? base64[v >> 6 & 63] : '=';
		out[n++] = i + 2 < size ? base64[v & 63] : '=';
		if (i % 48 == 45)
			out[n++] = '\n';
	}
	return n + (size_t)sprintf(out + n, "\n-----END %s-----\n", name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char pem[8192];
	szkr_srvkey_t key;
	const char *reason;
	int result;
	memset(&key, 0x55, sizeof key);
	if (size > 1 && size < 4096 && data[0] == 'D') {
		size_t n = to_pem(pem, data + 2, size - 2, data[1] & 1 ? "PUBLIC KEY" : "RSA PUBLIC KEY");
		result = szkr_key_from_pem(pem, n, &key);
	} else {
		result = szkr_key_from_pem(data, size, &key);
	}
	CHECK_INT(ERR_peek_error(), 0);
	if (result == 0) {
		EVP_PKEY *loaded = szkri_load_key(&key, &reason);
		CHECK(loaded != NULL);
		EVP_PKEY_free(loaded);
	} else {
		CHECK_INT(result, -szkr_err_invalid_state);
		CHECK_INT(key.modulus[0], 0x55);
	}
	return 0;
}
