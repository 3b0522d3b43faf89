#include "packet.h"

#include <string.h>

static const byte magic[MEGAKI_MAGIC_BYTES] = {0x4D, 0x47, 0x4B, 0xAA, 0xCA};

void szkri_put_head(struct szkri_head *head, enum szkri_type type)
{
	memcpy(head->magic, magic, sizeof magic);
	head->type = (byte)type;
}

int szkri_has_magic(const struct szkri_head *head)
{
	return memcmp(head->magic, magic, sizeof magic) == 0;
}

length_t szkri_padded(length_t length)
{
	return (length + MEGAKI_BLOCK_BYTES - 1) / MEGAKI_BLOCK_BYTES * MEGAKI_BLOCK_BYTES;
}

void szkri_put_length(byte out[MEGAKI_LENGTH_BYTES], length_t length)
{
	out[0] = (byte)(length >> 24);
	out[1] = (byte)(length >> 16);
	out[2] = (byte)(length >> 8);
	out[3] = (byte)length;
}

length_t szkri_get_length(const byte in[MEGAKI_LENGTH_BYTES])
{
	return (length_t)in[0] << 24 | (length_t)in[1] << 16 | (length_t)in[2] << 8 | in[3];
}
