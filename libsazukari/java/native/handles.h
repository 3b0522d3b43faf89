/* handles.h: contexts by number, for Java. */
#ifndef HANDLES_H
#define HANDLES_H

#include <jni.h>
#include <pthread.h>

#include <sazukari.h>

/* A context. Its lock is held by the call that uses it. */
struct entry {
	pthread_mutex_t lock;
	jint handle;
	int users;     /* calls that hold or await the lock; guarded by the table's lock */
	int destroyed; /* the same */

	szkr_ctx_t *ctx;
	jint socket;
	JNIEnv *env; /* of the call that holds the lock */
	byte *response;
	length_t response_length;
	int has_response;
};

/* handles_add puts an entry into the table, and gives it a handle that wasn't
 * used for long. It returns -1 without memory. */
int handles_add(struct entry *e);

/* handles_take returns the locked entry of a handle, or NULL. */
struct entry *handles_take(JNIEnv *env, jint handle);

/* handles_give unlocks an entry, and frees it if it was destroyed meanwhile. */
void handles_give(struct entry *e);

/* handles_destroy takes an entry out of the table; it is freed with its last
 * user. */
void handles_destroy(jint handle);

/* handles_count returns how many entries there are. */
jint handles_count(void);

/* entry_free releases what an entry holds, and the entry. */
void entry_free(struct entry *e);

#endif
