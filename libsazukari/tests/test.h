/* test.h: what the tests share. A check that fails ends the program with 1. */
#ifndef TEST_H
#define TEST_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sazukari.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition); \
			exit(1); \
		} \
	} while (0)

#define CHECK_INT(got, want) \
	do { \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		if (got_ != want_) { \
			fprintf(stderr, "%s:%d: %s: %s is %lld, want %lld\n", __FILE__, __LINE__, __func__, #got, got_, want_); \
			exit(1); \
		} \
	} while (0)

#define CHECK_BYTES(got, want, size) \
	do { \
		if (memcmp((got), (want), (size)) != 0) { \
			fprintf(stderr, "%s:%d: %s: %s differs from %s\n", __FILE__, __LINE__, __func__, #got, #want); \
			exit(1); \
		} \
	} while (0)

/* A call that must succeed, or fail with an error by name. */
#define CHECK_OK(ctx, call) \
	do { \
		if ((call) < 0) { \
			fprintf(stderr, "%s:%d: %s: %s: error %d, %s\n", __FILE__, __LINE__, __func__, #call, (int)szkr_last_error(ctx), \
			        szkr_last_error_detail(ctx)); \
			exit(1); \
		} \
	} while (0)

#define CHECK_ERROR(ctx, call, error) \
	do { \
		CHECK((call) < 0); \
		if (szkr_last_error(ctx) != (error)) { \
			fprintf(stderr, "%s:%d: %s: %s: error %d (%s), want %s\n", __FILE__, __LINE__, __func__, #call, \
			        (int)szkr_last_error(ctx), szkr_last_error_detail(ctx), #error); \
			exit(1); \
		} \
		CHECK(szkr_last_error_detail(ctx)[0] != '\0'); \
	} while (0)

/* How often a test that repeats itself does so: SAZUKARI_TEST_SHORT=1 is for
 * valgrind, where every n-th of a row of cases is enough. */
int stride(int n);

/* The tests, by file. */
void test_vectors(void);
void test_keys(void);
void test_handshake(void);
void test_resume(void);
void test_message(void);
void test_states(void);
void test_seen(void);
void test_http(void);
void test_net(void);
void test_threads(void);

#endif
