/* thread.h: the little of threads that key generation takes, on POSIX and on
 * Windows. */
#ifndef SZKRI_THREAD_H
#define SZKRI_THREAD_H

#ifdef _WIN32
#include <windows.h>

typedef HANDLE szkri_thread;
#define SZKRI_THREAD_FUNC(name, param) static DWORD WINAPI name(LPVOID param)

static inline int szkri_thread_start(szkri_thread *t, LPTHREAD_START_ROUTINE run, void *param)
{
	*t = CreateThread(NULL, 0, run, param, 0, NULL);
	return *t != NULL ? 0 : -1;
}

static inline void szkri_thread_join(szkri_thread t)
{
	WaitForSingleObject(t, INFINITE);
	CloseHandle(t);
}

#else
#include <pthread.h>
#include <signal.h>

typedef pthread_t szkri_thread;
#define SZKRI_THREAD_FUNC(name, param) static void *name(void *param)

/* The thread takes no signal: those are for the program's own threads. */
static inline int szkri_thread_start(szkri_thread *t, void *(*run)(void *), void *param)
{
	sigset_t all, before;
	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return -1;
	int failed = pthread_create(t, NULL, run, param);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed == 0 ? 0 : -1;
}

static inline void szkri_thread_join(szkri_thread t)
{
	pthread_join(t, NULL);
}
#endif

#endif
