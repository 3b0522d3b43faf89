#include "handles.h"

#include <stdlib.h>
#include <string.h>

/*
 * A handle is a number of a slot, and in the bits above how often the slot was
 * used: a handle of a context that was destroyed isn't soon another one's.
 */
enum { slot_bits = 16, most_slots = 1 << slot_bits, most_uses = 1 << (31 - slot_bits) };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot {
	struct entry *entry; /* NULL: free */
	jint uses;
} *slots;
static jint size, count, next;

static int grow(void)
{
	jint bigger = size == 0 ? 64 : 2 * size;
	if (bigger > most_slots)
		return -1;
	struct slot *moved = realloc(slots, (size_t)bigger * sizeof *moved);
	if (moved == NULL)
		return -1;
	memset(moved + size, 0, (size_t)(bigger - size) * sizeof *moved);
	slots = moved;
	next = size;
	size = bigger;
	return 0;
}

static int add(struct entry *e)
{
	if (count == size && grow() < 0)
		return -1;
	while (slots[next].entry != NULL)
		next = (next + 1) % size;
	struct slot *s = &slots[next];
	s->uses = (s->uses + 1) % most_uses;
	s->entry = e;
	e->handle = s->uses << slot_bits | next;
	next = (next + 1) % size;
	count++;
	return 0;
}

int handles_add(struct entry *e)
{
	pthread_mutex_lock(&lock);
	int result = add(e);
	pthread_mutex_unlock(&lock);
	return result;
}

static struct entry *find(jint handle)
{
	jint i = handle & (most_slots - 1);
	if (handle < 0 || i >= size || slots[i].entry == NULL || slots[i].entry->handle != handle)
		return NULL;
	return slots[i].entry;
}

struct entry *handles_take(JNIEnv *env, jint handle)
{
	pthread_mutex_lock(&lock);
	struct entry *e = find(handle);
	if (e != NULL)
		e->users++;
	pthread_mutex_unlock(&lock);
	if (e == NULL)
		return NULL;
	pthread_mutex_lock(&e->lock);
	e->env = env;
	return e;
}

void handles_give(struct entry *e)
{
	e->env = NULL;
	pthread_mutex_unlock(&e->lock);
	pthread_mutex_lock(&lock);
	int last = --e->users == 0 && e->destroyed;
	pthread_mutex_unlock(&lock);
	if (last)
		entry_free(e);
}

void handles_destroy(jint handle)
{
	pthread_mutex_lock(&lock);
	struct entry *e = find(handle);
	int last = 0;
	if (e != NULL) {
		slots[handle & (most_slots - 1)].entry = NULL;
		count--;
		e->destroyed = 1;
		last = e->users == 0;
	}
	pthread_mutex_unlock(&lock);
	if (last)
		entry_free(e);
}

jint handles_count(void)
{
	pthread_mutex_lock(&lock);
	jint n = count;
	pthread_mutex_unlock(&lock);
	return n;
}

void entry_free(struct entry *e)
{
	szkr_destroy_ctx(e->ctx);
	free(e->ctx);
	free(e->response);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
