/* The vectors that all implementations share (vectors/README.md): those for
 * clients. */
#include "test.h"

#include "handshake.h"
#include "keys.h"
#include "message.h"
#include "resume.h"
#include "vectors.h"
#include "wire.h"

/* What a server sends: the packet, then zeros as if more came, or the end. */
struct stream {
	byte *bytes;
	size_t size, at;
};

static slength_t read_stream(byte *p, length_t length, void *param)
{
	struct stream *s = param;
	size_t n = s->size - s->at < length ? s->size - s->at : length;
	memcpy(p, s->bytes + s->at, n);
	s->at += n;
	return (slength_t)n;
}

static slength_t discard(byte *p, length_t length, void *param)
{
	(void)p;
	(void)param;
	return (slength_t)length;
}

static szkr_ctx_t *ctx;
static struct stream stream;

/* The next thing that is read is a packet of the test, then `more` zeros. */
static void receive(const char *test, size_t more)
{
	size_t size = 0;
	byte *packet = json_find(test, "packet") != NULL ? json_bytes(test, "packet", &size) : calloc(1, 1);
	free(stream.bytes);
	stream.bytes = calloc(1, size + more + 1);
	CHECK(packet != NULL && stream.bytes != NULL);
	memcpy(stream.bytes, packet, size);
	stream.size = size + more;
	stream.at = 0;
	free(packet);
}

static szkr_err_t receive_message(byte **plain, length_t *length)
{
	*plain = NULL;
	CHECK_INT(szkri_seen_reserve(&ctx->seen, 1), 0);
	return szkri_receive(ctx, plain, length) < 0 ? szkr_last_error(ctx) : szkr_err_none;
}

static void run_public_key(const char *test)
{
	szkr_srvkey_t key;
	const char *reason;
	size_t size, exponent_size;
	byte *modulus = json_bytes(test, "modulus", &size), *exponent = json_bytes(test, "exponent", &exponent_size);
	int ok = json_is(test, "expect", "ok");
	if (size == sizeof key.modulus && exponent_size == sizeof key.exponent) {
		memcpy(key.modulus, modulus, size);
		memcpy(key.exponent, exponent, exponent_size);
		EVP_PKEY *loaded = szkri_load_key(&key, &reason);
		CHECK_INT(loaded != NULL, ok);
		EVP_PKEY_free(loaded);
	} else {
		CHECK(!ok); /* it doesn't fit into the type */
	}
	free(modulus);
	free(exponent);
}

static void run_derive(const char *test)
{
	byte server[32], client[32], key[32], got[32];
	json_exact(test, "server_symmetric", server, 32);
	json_exact(test, "client_symmetric", client, 32);
	json_exact(test, "key", key, 32);
	szkri_derive(got, server, client);
	CHECK_BYTES(got, key, sizeof key);
}

/* Runs a state of the client, and returns the error that it ends with. */
static szkr_err_t run_state(const char *state)
{
	struct szkri_session session;
	struct szkri_head head;
	byte *plain;
	length_t length;
	int result;
	memset(&session, 0, sizeof session);
	if (strcmp(state, "client-syn-ack") == 0) {
		result = szkr_do_handshake(ctx);
	} else if (strcmp(state, "client-ack-ack") == 0) {
		result = szkri_read_head(ctx, &head, SZKRI_ACK_ACK, SZKRI_ACK_ACK);
	} else if (strcmp(state, "client-rstor-ack") == 0) {
		result = szkr_resume_session(ctx, (const byte *)&session);
	} else {
		CHECK(strcmp(state, "client-message") == 0);
		szkri_begin(ctx, session.token, session.key);
		szkr_err_t error = receive_message(&plain, &length);
		free(plain);
		return error;
	}
	return result < 0 ? szkr_last_error(ctx) : szkr_err_none;
}

static int run_frame(const char *test)
{
	enum { much = 2 * SAZUKARI_RESPONSE_HARD_LIMIT };
	if (!json_is(test, "state", "client-syn-ack") && !json_is(test, "state", "client-ack-ack") &&
	    !json_is(test, "state", "client-rstor-ack") && !json_is(test, "state", "client-message"))
		return 0; /* for servers */
	if (json_number(test, "limit") != SAZUKARI_RESPONSE_HARD_LIMIT)
		return 0; /* this client has one limit */
	char state[32];
	snprintf(state, sizeof state, "%s", json_text(test, "state"));
	CHECK_OK(ctx, szkr_reset_ctx(ctx));
	receive(test, json_is(test, "expect", "incomplete") ? 0 : much);
	szkr_err_t error = run_state(state);
	if (json_is(test, "expect", "incomplete")) {
		CHECK_INT(error, szkr_err_io);
		CHECK_INT(stream.at, stream.size);
	} else if (json_is(test, "expect", "ok")) {
		CHECK(error != szkr_err_io);
		CHECK_INT(stream.at, json_number(test, "size"));
	} else {
		int is_message = strcmp(state, "client-message") == 0 && json_is(test, "expect", "too-long");
		CHECK_INT(error, is_message ? szkr_err_response_too_long : szkr_err_protocol);
		CHECK(stream.at <= sizeof(struct szkri_rstor)); /* judged by the header */
	}
	return 1;
}

/* Reads a SYN-ACK from the stream, as a handshake does. */
static szkr_err_t open_syn_ack(const byte *ephemeral, EVP_PKEY *key, struct szkri_secret *secret)
{
	struct szkri_syn_ack p;
	const char *detail = "";
	if (szkri_read_head(ctx, &p.head, SZKRI_SYN_ACK, SZKRI_SYN_ACK) < 0 || szkri_read_rest(ctx, &p, sizeof p) < 0)
		return szkr_last_error(ctx);
	return szkri_open_syn_ack(&p, ephemeral, key, secret, &detail);
}

static void run_open_syn_ack(const char *test, const char *json)
{
	struct szkri_secret secret;
	byte ephemeral[32], want[48];
	EVP_PKEY *key = json_key(json, "keys.client");
	json_exact(test, "ephemeral_key", ephemeral, sizeof ephemeral);
	receive(test, 0);
	szkr_err_t error = open_syn_ack(ephemeral, key, &secret);
	if (json_is(test, "expect", "ok")) {
		CHECK_INT(error, szkr_err_none);
		json_exact(test, "token", want, 16);
		json_exact(test, "server_symmetric", want + 16, 32);
		CHECK_BYTES(&secret, want, sizeof want);
	} else if (json_is(test, "expect", "incomplete")) {
		CHECK_INT(error, szkr_err_io);
	} else if (json_is(test, "expect", "server-error")) {
		CHECK_INT(error, json_is(test, "code", "0100")   ? szkr_err_incompatible_versions
		                 : json_is(test, "code", "0200") ? szkr_err_service_unavailable
		                 : json_is(test, "code", "03ff") ? szkr_err_server_blacklisted
		                                                 : szkr_err_unknown_errcode);
	} else {
		CHECK(json_is(test, "expect", "crypto"));
		CHECK_INT(error, szkr_err_protocol);
	}
	EVP_PKEY_free(key);
}

static void expect_message(const char *test, szkr_err_t error, const byte *plain, length_t length)
{
	if (json_is(test, "expect", "ok")) {
		size_t size = 0;
		byte *want = json_find(test, "plaintext") != NULL ? json_bytes(test, "plaintext", &size) : NULL;
		CHECK_INT(error, szkr_err_none);
		CHECK_INT(length, size);
		if (size > 0)
			CHECK_BYTES(plain, want, size);
		free(want);
	} else if (json_is(test, "expect", "incomplete")) {
		CHECK_INT(error, szkr_err_io);
	} else if (json_is(test, "expect", "too-long")) {
		CHECK_INT(error, szkr_err_response_too_long);
	} else {
		CHECK(json_is(test, "expect", "crypto") || json_is(test, "expect", "replay"));
		CHECK_INT(error, szkr_err_protocol);
		CHECK(!json_is(test, "expect", "replay") || strstr(szkr_last_error_detail(ctx), "before") != NULL);
	}
}

static int run_open_message(const char *test)
{
	byte key[32], token[16] = {0}, *plain;
	length_t length;
	if (!json_is(test, "side", "client") || json_number(test, "limit") != SAZUKARI_RESPONSE_HARD_LIMIT)
		return 0;
	receive(test, 0);
	json_exact(test, "key", key, sizeof key);
	if (stream.size >= 26)
		memcpy(token, stream.bytes + 10, sizeof token); /* the session's is the one that it carries */
	szkri_begin(ctx, token, key);
	szkr_err_t error = receive_message(&plain, &length);
	expect_message(test, error, plain, length);
	free(plain);
	return 1;
}

static int run_session(const char *test)
{
	byte key[32], token[16], *plain;
	length_t length;
	const char *step;
	char path[32];
	if (!json_is(test, "side", "client"))
		return 0;
	json_exact(test, "key", key, sizeof key);
	json_exact(test, "token", token, sizeof token);
	szkri_begin(ctx, token, key);
	for (int i = 0; snprintf(path, sizeof path, "steps.%d", i) > 0 && (step = json_find(test, path)) != NULL; i++) {
		receive(step, 0);
		if (json_find(step, "sent") != NULL) {
			CHECK_INT(szkri_seen_reserve(&ctx->seen, 1), 0);
			CHECK_INT(szkri_seen_add(&ctx->seen, stream.bytes + offsetof(struct szkri_msg, mac)), 1);
			continue;
		}
		/* A client that doesn't take a packet with another token refuses a
		 * replay under one all the more: here the token is the session's. */
		if (stream.size >= sizeof(struct szkri_msg))
			memcpy(stream.bytes + 10, token, sizeof token);
		szkr_err_t error = receive_message(&plain, &length);
		expect_message(step, error, plain, length);
		free(plain);
	}
	return 1;
}

/* Reads the response to a RSTOR from the stream, as a resumption does. */
static szkr_err_t open_rstor_ack(const struct szkri_session *session, const byte *augment, byte *master)
{
	struct szkri_rstor p;
	const char *detail = "";
	if (szkri_read_head(ctx, &p.msg.head, SZKRI_RSTOR_ACK, SZKRI_REQ_REHS) < 0)
		return szkr_last_error(ctx);
	if (p.msg.head.type == SZKRI_REQ_REHS)
		return szkr_err_handshake_needed;
	if (szkri_read_rest(ctx, &p, sizeof p) < 0)
		return szkr_last_error(ctx);
	return szkri_open_rstor_ack(&p, session, augment, master, &detail);
}

static void run_open_rstor_ack(const char *test)
{
	struct szkri_session session;
	byte augment[32], want[32], got[32];
	receive(test, 0);
	memset(&session, 0, sizeof session);
	if (stream.size >= 26)
		memcpy(session.token, stream.bytes + 10, sizeof session.token);
	json_exact(test, "key", session.key, sizeof session.key);
	json_exact(test, "client_augment", augment, sizeof augment);
	szkr_err_t error = open_rstor_ack(&session, augment, got);
	if (json_is(test, "expect", "ok")) {
		CHECK_INT(error, szkr_err_none);
		json_exact(test, "new_key", want, sizeof want);
		CHECK_BYTES(got, want, sizeof want);
	} else if (json_is(test, "expect", "handshake-needed")) {
		CHECK_INT(error, szkr_err_handshake_needed);
	} else {
		CHECK_INT(error, json_is(test, "expect", "incomplete") ? szkr_err_io : szkr_err_protocol);
	}
}

/* Runs a test; returns 0 for one that is for servers. */
static int run_test(const char *test, const char *json)
{
	char operation[32];
	snprintf(operation, sizeof operation, "%s", json_text(test, "operation"));
	if (strcmp(operation, "public-key") == 0)
		run_public_key(test);
	else if (strcmp(operation, "derive") == 0)
		run_derive(test);
	else if (strcmp(operation, "frame") == 0)
		return run_frame(test);
	else if (strcmp(operation, "open-syn-ack") == 0)
		run_open_syn_ack(test, json);
	else if (strcmp(operation, "open-message") == 0)
		return run_open_message(test);
	else if (strcmp(operation, "open-rstor-ack") == 0)
		run_open_rstor_ack(test);
	else if (strcmp(operation, "session") == 0)
		return run_session(test);
	else
		return 0;
	return 1;
}

void test_vectors(void)
{
	static const struct {
		const char *name;
		int at_least; /* tests for clients */
	} files[] = {{"v1/keys.json", 15}, {"v1/frames.json", 70}, {"v1/handshake.json", 25}, {"v1/messages.json", 30},
	             {"v1/resumption.json", 15}, {"v1/replays.json", 5}};
	szkr_iostream_t io = {read_stream, discard, &stream};
	ctx = malloc((size_t)szkr_get_ctxsize());
	CHECK(ctx != NULL);
	CHECK_OK(ctx, szkr_new_ctx(ctx, io, vector_pinned_key()));
	ctx->client_key = vector_client_key();
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *json = json_read(files[i].name), path[32];
		const char *test;
		int ran = 0;
		for (int j = 0; snprintf(path, sizeof path, "tests.%d", j) > 0 && (test = json_find(json, path)) != NULL; j++) {
			snprintf(current_test, sizeof current_test, "%s: %s", files[i].name, json_text(test, "name"));
			ran += run_test(test, json);
		}
		current_test[0] = '\0';
		if (ran < files[i].at_least) {
			fprintf(stderr, "%s: only %d tests ran\n", files[i].name, ran);
			exit(1);
		}
		free(json);
	}
	free(stream.bytes);
	szkr_destroy_ctx(ctx);
	free(ctx);
}
