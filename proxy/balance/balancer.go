package balance

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Upstream is a server that gets a share of the requests.
type Upstream struct {
	Name      string            // for logs and Status
	Weight    int               // its share of the requests, compared to the others'; less than 1: 1
	Backup    bool              // whether it gets requests only while none of the others can be tried
	Transport http.RoundTripper // for RoundTrip; a caller of Do needs it for CloseIdleConnections alone, if it has that

	// Active returns the number of requests in flight at Transport. It is called
	// often, under a lock. Default: they are counted here, for which the body of
	// each response is wrapped.
	Active func() int

	// Check reports whether the upstream is well, for Health. Default: it isn't
	// checked.
	Check func(ctx context.Context) error
}

// Balancer is an http.RoundTripper over Upstreams. It is safe for use by several
// goroutines; its fields must not change once it is used, and it must not be
// copied.
//
// A request that failed is sent to another upstream, if its context hasn't ended and
//
//   - nothing of it was sent, or the upstream has announced that it didn't handle it; or
//   - no byte of a response came, the failure wasn't a timeout, and the method is
//     idempotent (RFC 9110, section 9.2.2).
//
// In both cases its body, if there is one, has to be readable once more: because
// nothing of it was read, because it has up to 64 KiB, or by Request.GetBody. So a
// POST that was sent is never repeated. Each upstream is tried once. Only if there
// is no other, and the failure was a kept connection that the server had closed, or
// such an announcement, the same one is tried a second time; or several times while it
// announces that it closes its connections of HTTP/2. Once there is a response, whatever its
// status, nothing is repeated.
//
// An upstream at which requests fail is left out for a while (ejected): after
// MaxFails failures within FailTimeout, or at once if nobody listens at its
// address. Two kinds of failures are counted apart:
//
//   - connecting: nothing of the request was sent, because the upstream wasn't
//     reached in time, its TLS handshake failed, or the connection broke before
//     the first byte;
//   - responding: the response didn't begin in time, was malformed, or was cut
//     off. Each response that succeeds sets this count to 0, and the last upstream
//     that is up is never ejected for what it responded: so one client that asks
//     for a bad URL takes no server away from others.
//
// What isn't the upstream's fault doesn't count: a client that goes away, a
// request that is wrong, a queue that is full, a kept connection that turns out to
// be closed. Nor does a response of any status.
//
// An upstream is left out for 1 s first, and then for twice as long each time, up
// to FailTimeout. After that one request is tried, and another each second while
// it has no outcome; if one succeeds, the upstream is back. While no upstream is up, each is tried every
// second.
type Balancer struct {
	Upstreams []*Upstream
	By        Policy // default: RoundRobin
	Health    Health

	MaxFails    int           // failures within FailTimeout that eject an upstream; less than 0: none do
	FailTimeout time.Duration // see above

	// Retrying is called after a try that failed and will be followed by another.
	Retrying func(r *http.Request, u *Upstream, err error)

	// Logger logs when an upstream goes down, and when it is up again. Default:
	// none.
	Logger *slog.Logger

	once   sync.Once
	mu     sync.Mutex // guards the fields of states that say so; never held while waiting
	states []*state

	checks sync.WaitGroup
	stop   context.CancelFunc // ends the checks
}

func (b *Balancer) init() {
	b.once.Do(func() {
		now := time.Now()
		for _, u := range b.Upstreams {
			b.states = append(b.states, &state{Upstream: u, weight: max(1, u.Weight), changed: now})
		}
	})
}

// RoundTrip implements http.RoundTripper. It is Do with the Transports of the
// upstreams.
func (b *Balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.Do(r, func(u *Upstream, r *http.Request) (*http.Response, error) { return u.Transport.RoundTrip(r) })
}

// Do sends a request by send, which is called for each try with the upstream that
// gets the request. If no upstream can be tried it fails at once with a *DownError;
// if none was reached, with an *UnreachableError; else with the error of the last
// try.
func (b *Balancer) Do(r *http.Request, send func(*Upstream, *http.Request) (*http.Response, error)) (*http.Response, error) {
	return b.DoFor(r, Wish{}, send)
}

// DoFor is Do for a request of which more is known.
func (b *Balancer) DoFor(r *http.Request, wish Wish, send func(*Upstream, *http.Request) (*http.Response, error)) (*http.Response, error) {
	b.init()
	t := try{b: b, r: r, wish: wish, out: r, send: send}
	u, trial, wait := b.pick(wish, nil)
	if u == nil {
		closeBody(r)
		return nil, &DownError{RetryAfter: wait}
	}
	for {
		resp, err := t.do(u, trial)
		if err == nil {
			return resp, nil
		}
		last := u
		if u, trial = t.next(last, err); u == nil {
			return nil, t.fail(err)
		}
		if !t.renew() {
			b.abandon(u, trial)
			return nil, t.fail(err)
		}
		last.retried.Add(1)
		if b.Retrying != nil {
			b.Retrying(r, last.Upstream, err)
		}
	}
}

// do sends the request to u.
func (t *try) do(u *state, trial bool) (*http.Response, error) {
	b := t.b
	t.begin()
	u.requests.Add(1)
	counted := u.Active == nil
	if counted {
		u.active.Add(1)
	}
	resp, err := t.send(u.Upstream, t.out)
	if err == nil {
		if t.body != nil {
			t.body.settle(false)
		}
		if t.out != t.r {
			resp.Request = t.r
		}
		b.succeeded(u)
		if counted {
			u.countBody(resp)
		}
		return resp, nil
	}
	if counted {
		u.active.Add(-1)
	}
	t.failure = classify(err)
	if t.failure.blame != blameUpstream || t.failure.stale || t.r.Context().Err() != nil {
		b.abandon(u, trial)
	} else {
		u.failed.Add(1)
		b.fault(u, trial, t.failure, err)
	}
	return nil, err
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}
