package megaki

import (
	"context"
	"errors"
	"sync"
	"time"
)

// requestContext is the context of a message that is being handled. It ends
// when the client closes the connection, or when the server is closed without
// waiting. Watching a connection takes a goroutine. It starts with the first
// call of Done, which most handlers never make.
type requestContext struct {
	context.Context // the server's
	conn            *serverConn

	mu       sync.Mutex
	err      error
	returned bool          // the handler has
	done     chan struct{} // nil before the first call of Done, as are those below
	watching chan struct{} // closed when the watch has ended
	ended    chan struct{} // closed when the handler has returned
}

func newRequestContext(c *serverConn) *requestContext {
	return &requestContext{Context: c.srv.ctx, conn: c}
}

// over is the channel of a context that ends before anybody waits for it.
var over = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done implements context.Context.
func (r *requestContext) Done() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.done != nil:
	case r.returned:
		r.done = over
	default:
		r.done, r.watching, r.ended = make(chan struct{}), make(chan struct{}), make(chan struct{})
		r.conn.conn.SetReadDeadline(time.Time{}) // a message has a deadline only while it is read
		go r.watch()
	}
	return r.done
}

// Err implements context.Context.
func (r *requestContext) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		return r.Context.Err()
	}
	return r.err
}

func (r *requestContext) watch() {
	defer close(r.watching)
	stop := context.AfterFunc(r.Context, func() { r.cancel(r.Context.Err()) })
	defer stop()
	err := r.conn.wire.waitReadable()
	if errors.Is(err, errors.ErrUnsupported) {
		select {
		case <-r.Context.Done():
		case <-r.ended:
		}
		return
	}
	// The client closed the connection or sent a packet out of turn, the server
	// closed it, or the handler has returned.
	r.cancel(context.Canceled)
}

func (r *requestContext) cancel(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
		if r.done != nil {
			close(r.done)
		}
	}
}

// end ends the watch, before the connection is read again.
// It reports whether there was one.
func (r *requestContext) end() bool {
	r.mu.Lock()
	r.returned = true
	watching := r.watching
	if watching != nil {
		close(r.ended)
	}
	r.mu.Unlock()
	if watching != nil {
		r.conn.conn.SetReadDeadline(time.Unix(1, 0))
		<-watching
	}
	r.cancel(context.Canceled)
	return watching != nil
}
