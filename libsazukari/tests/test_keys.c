/* Public keys in all forms; the RSA key of a context. */
#include "test.h"

#include <time.h>

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "context.h"
#include "keys.h"
#include "peer.h"
#include "vectors.h"

static void pem_gives_the_pinned_key(void)
{
	szkr_srvkey_t pinned = vector_pinned_key(), key;
	const char *pem = vector_text("server_public_key_pem");
	CHECK_INT(szkr_key_from_pem(pem, strlen(pem), &key), 0);
	CHECK_BYTES(&key, &pinned, sizeof key);
	memset(&key, 0, sizeof key);
	CHECK_INT(szkr_key_from_pem(&pinned, sizeof pinned, &key), 0);
	CHECK_BYTES(&key, &pinned, sizeof key);
}

/* The DER of "RSA PUBLIC KEY": the BIT STRING in a SubjectPublicKeyInfo. */
static void pkcs1_gives_the_pinned_key(void)
{
	szkr_srvkey_t pinned = vector_pinned_key(), key;
	const char *reason;
	EVP_PKEY *loaded = szkri_load_key(&pinned, &reason);
	unsigned char *der = NULL;
	char *pem;
	int size = i2d_PublicKey(loaded, &der);
	CHECK(size > 0);
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(PEM_write_bio(bio, "RSA PUBLIC KEY", "", der, size) > 0);
	long n = BIO_get_mem_data(bio, &pem);
	CHECK_INT(szkr_key_from_pem(pem, (size_t)n, &key), 0);
	CHECK_BYTES(&key, &pinned, sizeof key);
	BIO_free(bio);
	bio = BIO_new(BIO_s_mem()); /* under another name it is something else */
	CHECK(PEM_write_bio(bio, "DH PARAMETERS", "", der, size) > 0);
	n = BIO_get_mem_data(bio, &pem);
	CHECK_INT(szkr_key_from_pem(pem, (size_t)n, &key), -szkr_err_invalid_state);
	BIO_free(bio);
	OPENSSL_free(der);
	EVP_PKEY_free(loaded);
}

static void no_public_key_is_refused(void)
{
	szkr_srvkey_t key;
	const char *private = vector_text("server_private_key_pem");
	CHECK_INT(szkr_key_from_pem(private, strlen(private), &key), -szkr_err_invalid_state);
	const char *encrypted = vector_text("server_private_key_encrypted_pem");
	CHECK_INT(szkr_key_from_pem(encrypted, strlen(encrypted), &key), -szkr_err_invalid_state);
	CHECK_INT(szkr_key_from_pem("", 0, &key), -szkr_err_invalid_state);
	CHECK_INT(szkr_key_from_pem(NULL, 10, &key), -szkr_err_invalid_state);
	CHECK_INT(szkr_key_from_pem("rubbish", 7, &key), -szkr_err_invalid_state);
	CHECK_INT(szkr_key_from_pem("rubbish", SIZE_MAX, &key), -szkr_err_invalid_state);
	static const char ec[] = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
	                         "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
	CHECK_INT(szkr_key_from_pem(ec, sizeof ec - 1, &key), -szkr_err_invalid_state);
}

static void a_private_key_beside_the_public_one_is_refused(void)
{
	const char *public = vector_text("server_public_key_pem");
	const char *privates[] = {vector_text("server_private_key_pem"), vector_text("server_private_key_encrypted_pem")};
	for (size_t i = 0; i < 4; i++) {
		szkr_srvkey_t key;
		char both[8192];
		int n = snprintf(both, sizeof both, "%s%s", i % 2 ? public : privates[i / 2], i % 2 ? privates[i / 2] : public);
		CHECK(n > 0 && (size_t)n < sizeof both);
		CHECK_INT(szkr_key_from_pem(both, (size_t)n, &key), -szkr_err_invalid_state);
	}
}

static void every_prefix_of_a_pem_is_refused(void)
{
	szkr_srvkey_t key;
	const char *pem = vector_text("server_public_key_pem");
	size_t whole = strlen(pem);
	while (pem[whole - 1] == '\n')
		whole--; /* what lacks the last newline is whole */
	for (size_t n = 0; n < whole; n++) {
		char *cut = malloc(n + 1);
		CHECK(cut != NULL);
		memcpy(cut, pem, n);
		CHECK_INT(szkr_key_from_pem(cut, n, &key), -szkr_err_invalid_state);
		free(cut);
	}
}

static EVP_PKEY *with_exponent(byte a, byte b, byte c, byte d, const char **reason)
{
	szkr_srvkey_t key = vector_pinned_key();
	key.exponent[0] = a;
	key.exponent[1] = b;
	key.exponent[2] = c;
	key.exponent[3] = d;
	return szkri_load_key(&key, reason);
}

static void only_right_keys_are_used(void)
{
	static const byte right[][4] = {{0, 0, 0, 3}, {0, 0, 0, 129}, {0, 0, 1, 1}, {0, 0, 0x80, 1}, {0, 1, 0, 1}, {0, 0x80, 0, 1}, {0x7F, 0xFF, 0xFF, 0xFF}};
	static const byte wrong[][4] = {{0, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 0, 2}, {0, 1, 0, 0}, {0x80, 0, 0, 1}, {0xFF, 0xFF, 0xFF, 0xFF}};
	const char *reason;
	szkr_srvkey_t again;
	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		const byte *e = right[i];
		EVP_PKEY *key = with_exponent(e[0], e[1], e[2], e[3], &reason);
		CHECK(key != NULL);
		CHECK_INT(szkri_public_key(key, &again), 0);
		CHECK_BYTES(again.exponent, e, 4);
		EVP_PKEY_free(key);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const byte *e = wrong[i];
		CHECK(with_exponent(e[0], e[1], e[2], e[3], &reason) == NULL);
		CHECK(strstr(reason, "exponent") != NULL);
	}
	szkr_srvkey_t key = vector_pinned_key();
	key.modulus[255] ^= 1;
	CHECK(szkri_load_key(&key, &reason) == NULL && strstr(reason, "even") != NULL);
	key = vector_pinned_key();
	key.modulus[0] &= 0x7F;
	CHECK(szkri_load_key(&key, &reason) == NULL && strstr(reason, "2048") != NULL);
}

/* The reference made a new RSA key with every context and reset. */
static void a_context_has_one_key_made_when_needed(void)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	EVP_PKEY_free(ctx->client_key);
	ctx->client_key = NULL;
	CHECK_INT(szkr_key_ready(ctx), 0);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK_INT(szkr_key_ready(ctx), 1);
	szkr_srvkey_t first = peer.client_key;
	CHECK_BYTES(first.exponent, "\0\1\0\1", 4);
	CHECK_OK(ctx, szkr_reset_ctx(ctx));
	peer_reconnect(&peer);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK_BYTES(&peer.client_key, &first, sizeof first);
	context_free(ctx);
	peer_free(&peer);
}

static void a_key_made_in_the_background_is_used(void)
{
	struct peer peer;
	peer_init(&peer);
	szkr_ctx_t *ctx = peer_context(&peer);
	EVP_PKEY_free(ctx->client_key);
	ctx->client_key = NULL;
	CHECK_OK(ctx, szkr_prepare_key(ctx));
	CHECK_OK(ctx, szkr_prepare_key(ctx)); /* once is enough */
	CHECK(ctx->keygen != NULL);
	CHECK_OK(ctx, szkr_do_handshake(ctx));
	CHECK(ctx->keygen == NULL && ctx->client_key != NULL);
	CHECK_OK(ctx, szkr_prepare_key(ctx));
	CHECK(ctx->keygen == NULL);
	echo(ctx, "with a key from another thread");
	context_free(ctx);
	peer_free(&peer);
}

static double now_ms(void)
{
	struct timespec t;
	timespec_get(&t, TIME_UTC);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Not each need be broken off early, but most must be. */
static void destroying_a_context_breaks_off_its_key(void)
{
	int whole = stride(2) > 1 ? 1 : 4, broken_off = 10 * whole;
	struct peer peer;
	peer_init(&peer);
	double start = now_ms();
	for (int i = 0; i < whole; i++)
		EVP_PKEY_free(szkri_generate_key(NULL, NULL));
	double one = (now_ms() - start) / whole;
	start = now_ms();
	for (int i = 0; i < broken_off; i++) {
		szkr_ctx_t *ctx = peer_context(&peer);
		EVP_PKEY_free(ctx->client_key);
		ctx->client_key = NULL;
		CHECK_OK(ctx, szkr_prepare_key(ctx));
		context_free(ctx);
	}
	double each = (now_ms() - start) / broken_off;
	printf("  a key takes %.0f ms, one that is broken off %.1f ms\n", one, each);
	CHECK(each < one);
	peer_free(&peer);
}

void test_keys(void)
{
	pem_gives_the_pinned_key();
	pkcs1_gives_the_pinned_key();
	no_public_key_is_refused();
	a_private_key_beside_the_public_one_is_refused();
	every_prefix_of_a_pem_is_refused();
	only_right_keys_are_used();
	a_context_has_one_key_made_when_needed();
	a_key_made_in_the_background_is_used();
	destroying_a_context_breaks_off_its_key();
}
