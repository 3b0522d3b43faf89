/* test.h: what the tests share. A check that fails ends the program with 1. */
#ifndef TEST_H
#define TEST_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sazukari.h"

/* What a table's test is about; printed when a check fails. */
extern _Thread_local char current_test[256];

/* test_fail prints where a check failed and why, and ends the program. */
_Noreturn void test_fail(const char *file, int line, const char *function, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define FAIL(...) test_fail(__FILE__, __LINE__, __func__, __VA_ARGS__)

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			FAIL("not so: %s", #condition); \
	} while (0)

#define CHECK_INT(got, want) \
	do { \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		if (got_ != want_) \
			FAIL("%s is %lld, want %lld", #got, got_, want_); \
	} while (0)

#define CHECK_BYTES(got, want, size) \
	do { \
		if (memcmp((got), (want), (size)) != 0) \
			FAIL("%s differs from %s", #got, #want); \
	} while (0)

/* A call that must succeed, or fail with an error by name. */
#define CHECK_OK(ctx, call) \
	do { \
		if ((call) < 0) \
			FAIL("%s: error %d, %s", #call, (int)szkr_last_error(ctx), szkr_last_error_detail(ctx)); \
	} while (0)

#define CHECK_ERROR(ctx, call, error) \
	do { \
		CHECK((call) < 0); \
		if (szkr_last_error(ctx) != (error)) \
			FAIL("%s: error %d (%s), want %s", #call, (int)szkr_last_error(ctx), szkr_last_error_detail(ctx), #error); \
		CHECK(szkr_last_error_detail(ctx)[0] != '\0'); \
	} while (0)

/* How often a test that repeats itself does so: SAZUKARI_TEST_SHORT=1 is for
 * valgrind, where every n-th of a row of cases is enough. */
int stride(int n);

/* The tests, by file. */
void test_recording(void);
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
