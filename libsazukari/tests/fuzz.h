/* fuzz.h: what the fuzzers share. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

#include "test.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A part of the input. */
struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t take_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

#endif
