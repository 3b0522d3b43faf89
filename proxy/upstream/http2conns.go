package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// errNoStreams is returned if a new connection takes no request.
var errNoStreams = errors.New("the server allows no requests at once")

// http2Conns are the connections to an HTTP/2 server. net/http's Transport has such a
// pool, too, but sends a request once more on its own: after PROTOCOL_ERROR even a POST that
// the server may have handled. Its ClientConn sends each request once.
type http2Conns struct {
	dial func() (*http.ClientConn, error)

	mu      sync.Mutex
	open    []*http2Conn
	dialing *http2Dial // nil: no dial is in flight
}

// http2Conn is a connection on which requests share.
type http2Conn struct {
	*http.ClientConn
	used atomic.Bool // it has had a request
}

// http2Dial is a dial for all requests that wait for a connection.
type http2Dial struct {
	done chan struct{}
	err  error // valid once done is closed
}

// take returns a connection with room for a request, which is reserved, and whether it was
// used before.
func (p *http2Conns) take(ctx context.Context) (c *http2Conn, reused bool, err error) {
	for {
		p.mu.Lock()
		for _, c := range slices.Backward(p.open) { // the newest first: the server closes the others before it
			if c.Reserve() == nil {
				p.mu.Unlock()
				return c, c.used.Swap(true), nil
			}
		}
		d := p.dialing
		if d == nil {
			d = &http2Dial{done: make(chan struct{})}
			p.dialing = d
			go p.add(d)
		}
		p.mu.Unlock()
		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		if d.err != nil {
			return nil, false, d.err
		}
	}
}

// add dials a connection.
func (p *http2Conns) add(d *http2Dial) {
	cc, err := p.dial()
	if err == nil && cc.Available() == 0 { // or those that wait would dial over and over
		cc.Close()
		err = errNoStreams
	}
	p.mu.Lock()
	if d.err = err; err == nil {
		p.open = append(p.open, &http2Conn{ClientConn: cc})
	}
	p.dialing = nil
	p.mu.Unlock()
	close(d.done)
	if err == nil {
		cc.SetStateHook(p.changed)
		p.changed(cc) // it may have ended before
	}
}

// changed forgets a connection that has ended. It may be called while mu is held, by
// Reserve.
func (p *http2Conns) changed(cc *http.ClientConn) {
	if cc.Err() != nil {
		go p.remove(func(c *http2Conn) bool { return c.ClientConn == cc })
	}
}

// retire has further requests take new connections. The others are closed when their
// requests have ended.
func (p *http2Conns) retire() {
	for _, c := range p.remove(func(*http2Conn) bool { return true }) {
		c.SetStateHook(closeIdle)
		closeIdle(c.ClientConn) // the hook is called for changes only
	}
}

// closeIdle closes the connections without requests.
func (p *http2Conns) closeIdle() {
	for _, c := range p.remove(func(c *http2Conn) bool { return c.InFlight() == 0 }) {
		c.Close()
	}
}

// remove takes connections out of the pool. None of them gets another request.
func (p *http2Conns) remove(which func(*http2Conn) bool) (gone []*http2Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = slices.DeleteFunc(p.open, func(c *http2Conn) bool {
		if !which(c) {
			return false
		}
		gone = append(gone, c)
		return true
	})
	return gone
}

func closeIdle(cc *http.ClientConn) {
	if cc.InFlight() == 0 {
		cc.Close()
	}
}
