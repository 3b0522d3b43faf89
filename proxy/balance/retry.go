package balance

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
)

// try is a request on its way through the upstreams.
type try struct {
	b       *Balancer
	r       *http.Request // the caller's
	out     *http.Request // what is sent: r, or a copy with another body
	held    *heldBody     // its body, if that may have to be sent to another upstream
	tried   []*state      // those before the current one
	again   bool          // one of them was tried a second time
	reached bool          // something was sent, or it isn't the upstreams' fault that it wasn't
	failure Failure       // of the last try
}

// begin makes the request ready. Without a body, and with one that can be had
// again, it is the caller's as it is.
func (t *try) begin() {
	if t.held == nil && t.out == t.r && hasBody(t.r) && t.r.GetBody == nil {
		t.hold(t.r.Body)
	}
}

func (t *try) hold(body io.ReadCloser) {
	out := *t.r
	t.held = &heldBody{body: body, held: true}
	out.Body = t.held
	t.out = &out
}

// settle lets the body go: there is an answer, or no more tries.
func (t *try) settle() {
	if t.held != nil {
		t.held.letGo()
	}
}

// next decides whether the request is sent once more after a failure, and where.
func (t *try) next(u *state, err error) (next *state, trial bool) {
	f := t.failure
	t.reached = t.reached || f.Sent || f.Answered || f.Blame != BlameUpstream
	if f.Blame == BlameRequest || t.r.Context().Err() != nil || !t.repeatable(err) {
		return nil, false
	}
	t.tried = append(t.tried, u)
	next, trial, _ = t.b.pick(t.tried)
	if next == nil && f.Stale && !t.again {
		t.again = true
		if next, trial = t.b.pickAgain(u); next != nil {
			// There may be more connections like that one.
			if c, ok := u.Transport.(interface{ CloseIdleConnections() }); ok {
				c.CloseIdleConnections()
			}
		}
	}
	return next, trial
}

// repeatable tells whether the request may be sent once more.
func (t *try) repeatable(err error) bool {
	f := t.failure
	replayable := !hasBody(t.r) || t.r.GetBody != nil
	if !f.Sent && !f.Answered {
		return replayable || t.held != nil && t.held.untouched()
	}
	return replayable && !f.Answered && !isTimeout(err) && idempotent(t.r.Method)
}

// renew gets a body for the next try. It reports false if there is none.
func (t *try) renew() bool {
	switch {
	case !hasBody(t.r):
		return true
	case t.r.GetBody == nil:
		t.hold(t.held.body)
		return true
	}
	body, err := t.r.GetBody()
	if err != nil {
		return false
	}
	out := *t.r
	out.Body = body
	t.out = &out
	return true
}

// fail ends the request with the error of its last try.
func (t *try) fail(err error) error {
	t.settle()
	if t.reached || t.r.Context().Err() != nil {
		return err
	}
	return &UnreachableError{Err: err}
}

// heldBody is a request's body that stays open when it is closed without having
// been read, so that it can be sent to another upstream.
type heldBody struct {
	body io.ReadCloser

	mu      sync.Mutex
	held    bool
	touched bool // it was read
	closed  bool
}

func (h *heldBody) Read(p []byte) (int, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	h.touched = true
	h.mu.Unlock()
	return h.body.Read(p)
}

func (h *heldBody) Close() error {
	h.mu.Lock()
	h.closed = true
	wait := h.held && !h.touched
	h.mu.Unlock()
	if wait {
		return nil
	}
	return h.body.Close()
}

func (h *heldBody) untouched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.touched
}

// letGo makes Close close.
func (h *heldBody) letGo() {
	h.mu.Lock()
	h.held = false
	due := h.closed && !h.touched
	h.mu.Unlock()
	if due {
		h.body.Close()
	}
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// idempotent tells whether a method may be repeated (RFC 9110, section 9.2.2).
func idempotent(method string) bool {
	return slices.Contains([]string{"", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete}, method)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
