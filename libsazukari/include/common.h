/*
 * common.h: the types and sizes that a client and a server of Megaki share.
 *
 * Programs include sazukari.h, which includes this file.
 */
#ifndef SAZUKARI_COMMON_H
#define SAZUKARI_COMMON_H

#include <stdint.h>

typedef uint8_t byte;
typedef uint32_t length_t;  /* a number of bytes */
typedef int32_t slength_t;  /* a number of bytes, or negative for an error */

/*
 * Levels of log messages: the numbers of syslog. They are macros, each defined
 * only where <syslog.h> hasn't defined it, so that the two headers can be
 * included in either order.
 */
#ifndef LOG_EMERG
#define LOG_EMERG 0
#endif
#ifndef LOG_ALERT
#define LOG_ALERT 1
#endif
#ifndef LOG_CRIT
#define LOG_CRIT 2
#endif
#ifndef LOG_ERR
#define LOG_ERR 3
#endif
#ifndef LOG_WARNING
#define LOG_WARNING 4
#endif
#ifndef LOG_NOTICE
#define LOG_NOTICE 5
#endif
#ifndef LOG_INFO
#define LOG_INFO 6
#endif
#ifndef LOG_DEBUG
#define LOG_DEBUG 7
#endif

/* Sizes of what travels, in bytes. */
#define MEGAKI_MAGIC_BYTES 5
#define MEGAKI_HEADER_BYTES 6         /* magic and type */
#define MEGAKI_VERSION_BYTES 2
#define MEGAKI_LENGTH_BYTES 4
#define MEGAKI_TOKEN_BYTES 16
#define MEGAKI_HASH_BYTES 32
#define MEGAKI_MAC_BYTES 32
#define MEGAKI_IV_BYTES 16
#define MEGAKI_BLOCK_BYTES 16         /* of AES */
#define MEGAKI_KEY_BYTES 32           /* a symmetric key */
#define MEGAKI_RSA_MODULUS_BYTES 256
#define MEGAKI_RSA_EXPONENT_BYTES 4
#define MEGAKI_RSA_BLOCK_BYTES 256
#define MEGAKI_RSA_PLAIN_BYTES 214    /* the most that one RSA block holds */
#define MEGAKI_SYN_BYTES 550
#define MEGAKI_SYNACK_BYTES 310
#define MEGAKI_ACK_BYTES 118
#define MEGAKI_ACKACK_BYTES 6
#define MEGAKI_MSG_HEADER_BYTES 74    /* the ciphertext follows */
#define MEGAKI_RSTOR_BYTES 106

#endif
