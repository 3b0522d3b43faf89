package forward

import (
	"io"
	"net/http"
	"time"

	"mkd/proxy/request"
)

// The route's timeout bounds how long a backend is waited for: until its response
// begins, and then for each part of it. It doesn't run while the client is waited
// for. A Megaki message is the exception: its response is sent in one piece, so
// the timeout, or wholeTimeout if there is none, bounds the body as a whole.

// wholeTimeout is how long the body of a response to a Megaki message may take if
// the route has no timeout.
const wholeTimeout = 5 * time.Minute

// Clock runs the route's timeout while the body of a response comes.
type Clock struct {
	r     *request.Request
	whole bool // the response is sent in one piece
}

// NewClock returns the clock of a response to r, whose body is awaited from now
// on.
func NewClock(w http.ResponseWriter, r *request.Request) Clock {
	c := Clock{r, request.IsMessage(w)}
	if r.StartTimeout(); c.whole && r.Timeout == 0 {
		r.SetTimeout(wholeTimeout)
	}
	return c
}

// Arrived is called when a part of the body has come.
func (c Clock) Arrived() {
	if !c.whole {
		c.r.SetTimeout(0)
	}
}

// Await is called when the next part is waited for.
func (c Clock) Await() {
	if !c.whole {
		c.r.StartTimeout()
	}
}

// timed returns the body of a response, which has begun, under the timeout.
func timed(w http.ResponseWriter, r *request.Request, body io.Reader) io.Reader {
	c := NewClock(w, r)
	if c.whole || r.Timeout == 0 {
		return body
	}
	return &timedReader{body, c}
}

// timedReader is the body of a response under the timeout.
type timedReader struct {
	body  io.Reader
	clock Clock
}

func (t *timedReader) Read(p []byte) (int, error) {
	t.clock.Await()
	n, err := t.body.Read(p)
	t.clock.Arrived()
	return n, err
}
