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

/* Moves the set into a table of another size, all of zeros. */
static void move_to(struct szkri_seen *seen, uint64_t *table, uint32_t size)
{
	uint64_t *old = seen->table;
	uint32_t old_size = seen->size;
	seen->table = table;
	seen->size = size;
	for (uint32_t i = 0; old != NULL && i < old_size; i++)
		if (old[i] != 0)
			table[slot(seen, old[i])] = old[i];
	free(old);
}

int szkri_seen_reserve(struct szkri_seen *seen, uint32_t count)
{
	uint64_t wanted = (uint64_t)seen->used + count;
	uint32_t size = seen->size;
	while (4 * wanted > 3 * (uint64_t)size) {
		if (size > UINT32_MAX / 2)
			return -1;
		size = size == 0 ? first_size : 2 * size;
	}
	if (size == seen->size)
		return 0;
	if (seen->table == NULL && szkri_random(&seen->seed, sizeof seen->seed) < 0)
		return -1;
	uint64_t *table = calloc(size, sizeof *table);
	if (table == NULL)
		return -1;
	move_to(seen, table, size);
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
