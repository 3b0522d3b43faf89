/* peer.h: a server in memory, which a test can make behave badly. */
#ifndef PEER_H
#define PEER_H

#include "context.h"
#include "packet.h"

/* How a server refuses a handshake. */
enum error_form {
	FORM_OUTER = 1, /* the mark outside, the code in the inner token: what the reference's client reads */
	FORM_INNER,     /* the mark inside, the code in the place of the secret: what the reference's server sends */
	FORM_BOTH       /* what mkd sends */
};

struct peer {
	EVP_PKEY *key; /* the server's private key */

	/* What the server remembers of the session. */
	int knows_session;
	byte token[MEGAKI_TOKEN_BYTES];
	byte master[MEGAKI_KEY_BYTES];
	byte pending[MEGAKI_KEY_BYTES]; /* offered by the last RSTOR-ACK */
	byte ephemeral[MEGAKI_KEY_BYTES];
	byte server_half[MEGAKI_KEY_BYTES];
	szkr_srvkey_t client_key;

	/* How it behaves. */
	enum error_form error_form; /* 0: it takes the handshake */
	byte code[MEGAKI_KEY_BYTES];
	length_t chunk;   /* a read gets no more bytes than this; 0: all */
	length_t write_chunk; /* a write takes no more bytes than this; 0: all */
	int silent;       /* it sends nothing more */
	/* alter may change a packet that is about to be sent, or its size. */
	void (*alter)(struct peer *peer, byte *packet, size_t *size);
	enum szkri_type alter_type; /* which packets alter is called with */
	size_t alter_at;
	byte alter_by;
	EVP_PKEY *to_client; /* for alter: the client's key, not owned */
	const byte *response; /* NULL: the request comes back */
	length_t response_length;

	/* What has come and what is to be read. */
	byte *in, *out;
	size_t in_size, out_size, out_at;
	size_t read_asked; /* the most that a read asked for beyond what was there */
	int writes;        /* calls of the write callback */
	byte request[64];  /* the beginning of the last message */
	length_t request_length;
	byte last_in[2048]; /* the last packet that came, and the last that was sent */
	size_t last_in_size;
	byte last_out[2048];
	size_t last_out_size;
	byte message_token[MEGAKI_TOKEN_BYTES]; /* of the last MSG */
};

void peer_init(struct peer *peer);
void peer_free(struct peer *peer);

/* peer_reconnect drops what was on the way, as a new connection does. */
void peer_reconnect(struct peer *peer);

szkr_iostream_t peer_stream(struct peer *peer);

/* peer_context makes a context on the peer, with the recorded client's key. */
szkr_ctx_t *peer_context(struct peer *peer);
void context_free(szkr_ctx_t *ctx);

/* peer_send puts a packet on its way to the client. */
void peer_send(struct peer *peer, const byte *packet, size_t size);

/* peer_send_msg seals a message and sends it. */
void peer_send_msg(struct peer *peer, enum szkri_type type, const byte key[MEGAKI_KEY_BYTES], const byte *plain, length_t length);

/* echo sends a message and checks that it comes back. */
void echo(szkr_ctx_t *ctx, const char *message);

/* Ways to alter. */
void flip_byte(struct peer *peer, byte *packet, size_t *size);    /* at alter_at, XOR alter_by */
void cut_packet(struct peer *peer, byte *packet, size_t *size);   /* to alter_at bytes */

#endif
