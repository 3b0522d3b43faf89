package balance

import (
	"errors"
	"io"
	"net/http"

	"mkd/proxy/roundtrip"
)

// try is a request on its way through the upstreams.
type try struct {
	b       *Balancer
	r       *http.Request // the caller's
	wish    Wish
	send    func(*Upstream, *http.Request) (*http.Response, error)
	out     *http.Request // what is sent: r, or a copy with another body
	body    *body         // of the request, if it has no GetBody; otherwise nil
	tried   []*state      // those before the current one
	again   int           // how often one of them was tried once more
	reached bool          // something was sent, or it isn't the upstreams' fault that it wasn't
	failure failure       // of the last try
}

// begin makes the request ready. One without a body, or with one that can be read
// again, is sent unchanged.
func (t *try) begin() {
	if t.body == nil && hasBody(t.r) && t.r.GetBody == nil {
		t.body = newBody(t.r)
		t.replaceBody(t.body.view())
	}
}

func (t *try) replaceBody(body io.ReadCloser) {
	out := *t.r
	out.Body = body
	t.out = &out
}

// next decides whether the request is sent once more after a failure, and where.
func (t *try) next(u *state, err error) (next *state, trial bool) {
	f := t.failure
	t.reached = t.reached || f.sent || f.responded || f.blame != blameUpstream
	if f.blame == blameRequest || t.r.Context().Err() != nil || !t.repeatable(err) {
		return nil, false
	}
	t.tried = append(t.tried, u)
	next, trial, _ = t.b.pick(t.wish, t.tried)
	if next == nil && f.stale && t.again < f.repeats() {
		t.again++
		if next, trial = t.b.pickAgain(u); next != nil {
			// There may be more connections like that one.
			if c, ok := u.Transport.(interface{ CloseIdleConnections() }); ok {
				c.CloseIdleConnections()
			}
		}
	}
	return next, trial
}

// repeatable reports whether the request may be sent once more.
func (t *try) repeatable(err error) bool {
	f := t.failure
	switch {
	case f.responded, hasBody(t.r) && t.r.GetBody == nil && !t.body.whole():
		return false
	case !f.sent:
		return true
	}
	return !isTimeout(err) && roundtrip.Idempotent(t.r.Method)
}

// renew gets a body for the next try. It reports false if there is none.
func (t *try) renew() bool {
	switch {
	case !hasBody(t.r):
	case t.r.GetBody == nil:
		t.replaceBody(t.body.view())
	default:
		body, err := t.r.GetBody()
		if err != nil {
			return false
		}
		t.replaceBody(body)
	}
	return true
}

// fail ends the request with the error of its last try.
func (t *try) fail(err error) error {
	if t.body != nil {
		t.body.settle(true)
	}
	if t.reached || t.r.Context().Err() != nil {
		return err
	}
	return &UnreachableError{Err: err}
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
