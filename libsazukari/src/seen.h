/* seen.h: the MACs that were sent and received under one master key. */
#ifndef SZKRI_SEEN_H
#define SZKRI_SEEN_H

#include "packet.h"

/*
 * A set of 8-byte prefixes of MACs. It belongs to a key: none is accepted
 * twice, so that nobody on the path can send a packet again, or back to its
 * sender. It is an open-addressed table, at most three quarters full; whoever
 * fills it bounds the number of entries.
 */
struct szkri_seen {
	uint64_t *table; /* 0: free */
	uint64_t seed;   /* the peer can choose MACs, but not where they fall */
	uint32_t size;   /* a power of two, or 0 */
	uint32_t used;
};

/* szkri_seen_reserve makes room for count more. It returns 0, or -1 without
 * memory. */
int szkri_seen_reserve(struct szkri_seen *seen, uint32_t count);

/* szkri_seen_add puts a MAC into the set, for which there is room. It returns
 * 1 if it is new, 0 if it was there. */
int szkri_seen_add(struct szkri_seen *seen, const byte mac[MEGAKI_MAC_BYTES]);

/* szkri_seen_clear empties the set and releases its memory. */
void szkri_seen_clear(struct szkri_seen *seen);

#endif
