package process

import (
	"runtime"
	"syscall"
)

// OnDisposableThread calls f on an OS thread that ends when f returns, and waits
// for it. So f may change the thread's state, such as its user or capabilities:
// Go starts no other thread from a locked one, and never runs another goroutine
// on it.
func OnDisposableThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() { // the main thread, which never ends
			OnDisposableThread(f) // on another, while this goroutine holds the main thread
			runtime.UnlockOSThread()
			return
		}
		f() // the thread ends with the goroutine, since it is never unlocked
	}()
	<-done
}
