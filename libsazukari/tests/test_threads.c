/* A context a thread, without a lock. */
#include "test.h"

#include <pthread.h>

#include "peer.h"

enum { threads = 8 };

static void *use(void *param)
{
	struct peer peer;
	byte saved[48];
	(void)param;
	CHECK_INT(szkr_init(), 0);
	peer_init(&peer);
	for (int i = 0; i < 5; i++) {
		szkr_ctx_t *ctx = peer_context(&peer);
		peer_reconnect(&peer);
		CHECK_OK(ctx, szkr_do_handshake(ctx));
		for (int j = 0; j < 20; j++)
			echo(ctx, "from several threads at once");
		CHECK_OK(ctx, szkr_get_session_data(ctx, saved, NULL));
		context_free(ctx);
		ctx = peer_context(&peer);
		peer_reconnect(&peer);
		CHECK_OK(ctx, szkr_resume_session(ctx, saved));
		echo(ctx, "resumed");
		CHECK_OK(ctx, szkr_prepare_key(ctx));
		context_free(ctx);
		szkr_destroy(); /* which harms no other thread */
	}
	peer_free(&peer);
	return NULL;
}

void test_threads(void)
{
	pthread_t running[threads];
	for (int i = 0; i < threads; i++)
		CHECK_INT(pthread_create(&running[i], NULL, use, NULL), 0);
	for (int i = 0; i < threads; i++)
		CHECK_INT(pthread_join(running[i], NULL), 0);
}
