#include "seen.h"

#include <stdlib.h>
#include <string.h>

#include "crypto.h"

enum { first_size = 64 };

static uint64_t prefix_of(const byte mac[MEGAKI_MAC_BYTES])
{
	uint64_t prefix;
	memcpy(&prefix, mac, sizeof prefix);
	return prefix != 0 ? prefix : 1;
}

/* Where a prefix is, or would be. */
static uint32_t slot(const struct szkri_seen *seen, uint64_t prefix)
{
	uint32_t mask = seen->size - 1;
	uint32_t i = (uint32_t)(((prefix ^ seen->seed) * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & mask;
	while (seen->table[i] != 0 && seen->table[i] != prefix)
		i = (i + 1) & mask;
	return i;
}

int szkri_seen_reserve(struct szkri_seen *seen, uint32_t count)
{
	uint64_t wanted = (uint64_t)seen->used + count;
	struct szkri_seen grown = *seen;
	while (4 * wanted > 3 * (uint64_t)grown.size) {
		if (grown.size > UINT32_MAX / 2)
			return -1;
		grown.size = grown.size == 0 ? first_size : 2 * grown.size;
	}
	if (grown.size == seen->size)
		return 0;
	if (seen->table == NULL && szkri_random(&grown.seed, sizeof grown.seed) < 0)
		return -1;
	grown.table = calloc(grown.size, sizeof *grown.table);
	if (grown.table == NULL)
		return -1;
	for (uint32_t i = 0; i < seen->size; i++)
		if (seen->table[i] != 0)
			grown.table[slot(&grown, seen->table[i])] = seen->table[i];
	free(seen->table);
	*seen = grown;
	return 0;
}

int szkri_seen_add(struct szkri_seen *seen, const byte mac[MEGAKI_MAC_BYTES])
{
	uint64_t prefix = prefix_of(mac);
	uint32_t i = slot(seen, prefix);
	if (seen->table[i] != 0)
		return 0;
	seen->table[i] = prefix;
	seen->used++;
	return 1;
}

void szkri_seen_clear(struct szkri_seen *seen)
{
	free(seen->table);
	memset(seen, 0, sizeof *seen);
}
