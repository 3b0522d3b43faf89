#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L /* pthread_sigmask */
#endif

#include "keygen.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "keys.h"
#include "thread.h"

struct szkri_keygen {
	szkri_thread thread;
	atomic_int stopped;
	atomic_int done;
	EVP_PKEY *key; /* belongs to the thread until it has ended */
};

static int is_stopped(void *param)
{
	struct szkri_keygen *job = param;
	return atomic_load(&job->stopped);
}

SZKRI_THREAD_FUNC(run, param)
{
	struct szkri_keygen *job = param;
	job->key = szkri_generate_key(is_stopped, job);
	ERR_clear_error();
	atomic_store(&job->done, 1);
	return 0;
}

struct szkri_keygen *szkri_keygen_start(void)
{
	struct szkri_keygen *job = calloc(1, sizeof *job);
	if (job == NULL)
		return NULL;
	atomic_init(&job->stopped, 0);
	atomic_init(&job->done, 0);
	if (szkri_thread_start(&job->thread, run, job) < 0) {
		free(job);
		return NULL;
	}
	return job;
}

int szkri_keygen_done(struct szkri_keygen *job)
{
	return atomic_load(&job->done);
}

EVP_PKEY *szkri_keygen_wait(struct szkri_keygen *job)
{
	szkri_thread_join(job->thread);
	EVP_PKEY *key = job->key;
	free(job);
	return key;
}

void szkri_keygen_stop(struct szkri_keygen *job)
{
	if (job == NULL)
		return;
	atomic_store(&job->stopped, 1);
	EVP_PKEY_free(szkri_keygen_wait(job));
}
