/* packet.h: the layout of packets. Every field is bytes, so no struct has
 * padding, and a struct's size is the packet's. Integers are big-endian. */
#ifndef SZKRI_PACKET_H
#define SZKRI_PACKET_H

#include "sazukari.h"

enum szkri_type {
	SZKRI_SYN = 0x01,
	SZKRI_SYN_ACK = 0x02,
	SZKRI_ACK = 0x03,
	SZKRI_MSG = 0x04,
	SZKRI_RSTOR = 0x05,
	SZKRI_RSTOR_ACK = 0x06,
	SZKRI_REQ_REHS = 0x07,
	SZKRI_ACK_ACK = 0x08
};

/* Starts every packet; ACK-ACK and REQ-REHS are no more than this. */
struct szkri_head {
	byte magic[MEGAKI_MAGIC_BYTES];
	byte type;
};

struct szkri_syn {
	struct szkri_head head;
	byte hash[MEGAKI_HASH_BYTES];             /* SHA-256 of the plaintext */
	byte block[2][MEGAKI_RSA_BLOCK_BYTES];    /* plaintext bytes 0..213 and 214..293, folded */
};

/* The plaintext of a SYN. */
struct szkri_syn_plain {
	byte modulus[MEGAKI_RSA_MODULUS_BYTES];   /* of the client's key */
	byte exponent[MEGAKI_RSA_EXPONENT_BYTES];
	byte ephemeral[MEGAKI_KEY_BYTES];         /* the MAC key of SYN-ACK and ACK */
	byte version[MEGAKI_VERSION_BYTES];
};

struct szkri_syn_ack {
	struct szkri_head head;
	byte mac[MEGAKI_MAC_BYTES];               /* under the ephemeral key, over the block */
	byte token[MEGAKI_TOKEN_BYTES];           /* authenticated by nothing */
	byte block[MEGAKI_RSA_BLOCK_BYTES];       /* a szkri_secret, to the client's key */
};

/* The plaintext of a SYN-ACK and of an ACK. */
struct szkri_secret {
	byte token[MEGAKI_TOKEN_BYTES];
	byte symmetric[MEGAKI_KEY_BYTES];         /* the sender's half of the master key */
};

struct szkri_ack {
	struct szkri_head head;
	byte mac[MEGAKI_MAC_BYTES];               /* under the ephemeral key, over IV and ciphertext */
	byte token[MEGAKI_TOKEN_BYTES];
	byte iv[MEGAKI_IV_BYTES];
	byte ciphertext[sizeof(struct szkri_secret)]; /* under the server's half */
};

/* A MSG, RSTOR or RSTOR-ACK. The ciphertext follows: the length rounded up to
 * whole blocks. */
struct szkri_msg {
	struct szkri_head head;
	byte length[MEGAKI_LENGTH_BYTES];         /* of the plaintext; covered by no MAC */
	byte token[MEGAKI_TOKEN_BYTES];           /* covered by no MAC */
	byte mac[MEGAKI_MAC_BYTES];               /* over IV and ciphertext */
	byte iv[MEGAKI_IV_BYTES];
};

/* A RSTOR or RSTOR-ACK, whose plaintext is the sender's augment. */
struct szkri_rstor {
	struct szkri_msg msg;
	byte ciphertext[MEGAKI_KEY_BYTES];
};

_Static_assert(sizeof(struct szkri_head) == MEGAKI_HEADER_BYTES, "header");
_Static_assert(sizeof(struct szkri_syn) == MEGAKI_SYN_BYTES, "SYN");
_Static_assert(sizeof(struct szkri_syn_plain) == 294, "plaintext of a SYN");
_Static_assert(sizeof(struct szkri_syn_ack) == MEGAKI_SYNACK_BYTES, "SYN-ACK");
_Static_assert(sizeof(struct szkri_secret) == 48, "plaintext of a SYN-ACK");
_Static_assert(sizeof(struct szkri_ack) == MEGAKI_ACK_BYTES, "ACK");
_Static_assert(sizeof(struct szkri_msg) == MEGAKI_MSG_HEADER_BYTES, "header of a MSG");
_Static_assert(sizeof(struct szkri_rstor) == MEGAKI_RSTOR_BYTES, "RSTOR");

/* szkri_put_head writes magic and type. */
void szkri_put_head(struct szkri_head *head, enum szkri_type type);

/* szkri_has_magic returns 1 if the header starts with the magic. */
int szkri_has_magic(const struct szkri_head *head);

/* szkri_padded returns the size of the ciphertext of length bytes, which are
 * at most SAZUKARI_RESPONSE_HARD_LIMIT. */
length_t szkri_padded(length_t length);

void szkri_put_length(byte out[MEGAKI_LENGTH_BYTES], length_t length);
length_t szkri_get_length(const byte in[MEGAKI_LENGTH_BYTES]);

#endif
