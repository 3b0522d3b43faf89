package http1

import (
	"context"
	"sync"
	"time"
)

// requestContext is the context of a connection's requests, one after the other,
// until somebody waits for the end of one: then it stays ended. It ends when the
// client closes the connection, when the server's base context ends, and when the
// handler returns. Watching a connection takes a goroutine, which starts with the
// first call of Done that comes after the request's body: most requests are
// handled before anybody asks.
type requestContext struct {
	context.Context // the server's
	conn            *conn

	mu       sync.Mutex
	handling bool          // a request is being handled
	switched bool          // the connection isn't ours to watch any more
	done     chan struct{} // nil until it is asked for
	err      error
	stop     func() bool   // stops listening to the server's context
	ended    chan struct{} // closed when the handler has returned; nil: nobody watches
	watching chan struct{} // closed when the watch has ended
}

func newRequestContext(c *conn) *requestContext {
	return &requestContext{Context: c.server.base(), conn: c}
}

// begin begins the next request. It reports false if the context can't be used
// again.
func (r *requestContext) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handling = r.done == nil
	return r.handling
}

// Done implements context.Context. It may be called after the request: a child
// that package context has made of this one asks on a goroutine of its own.
func (r *requestContext) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if !r.handling { // whoever asks is late
			r.err = context.Canceled
			close(r.done)
			return r.done
		}
		r.stop = context.AfterFunc(r.Context, func() { r.cancel(r.Context.Err()) })
		r.watch()
	}
	return r.done
}

// bodyEnded is called when the request's body has been read. Until then whoever
// reads it learns that the client has left.
func (r *requestContext) bodyEnded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done != nil {
		r.watch()
	}
}

// watch starts to watch the connection, if nobody else reads from it.
func (r *requestContext) watch() {
	if r.watching != nil || r.switched || r.err != nil || !r.conn.body.atEnd() {
		return
	}
	socket := socketOf(r.conn.net)
	if socket == nil {
		return
	}
	r.conn.setReadDeadline(time.Time{})
	r.ended, r.watching = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(r.watching)
		if waitClosed(socket, r.ended) {
			r.cancel(context.Canceled)
		}
	}()
}

// Err implements context.Context.
func (r *requestContext) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.handling:
		return context.Canceled
	case r.err != nil:
		return r.err
	}
	return r.Context.Err()
}

func (r *requestContext) cancel(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && r.done != nil {
		r.err = err
		close(r.done)
	}
}

// switchProtocols stops watching the connection for good.
func (r *requestContext) switchProtocols() {
	r.mu.Lock()
	r.switched = true
	r.mu.Unlock()
	r.stopWatching()
}

// stopWatching ends the watch, before the connection is read again.
func (r *requestContext) stopWatching() {
	r.mu.Lock()
	watching := r.watching
	if watching != nil {
		select {
		case <-r.ended:
		default:
			close(r.ended)
		}
		r.conn.setReadDeadline(time.Unix(1, 0)) // the watch returns
	}
	r.mu.Unlock()
	if watching != nil {
		<-watching
	}
}

// end ends the context of one request.
func (r *requestContext) end() {
	r.mu.Lock()
	r.handling = false
	stop := r.stop
	r.mu.Unlock()
	if stop == nil {
		return // nobody asked
	}
	r.stopWatching()
	stop()
	r.cancel(context.Canceled)
}
