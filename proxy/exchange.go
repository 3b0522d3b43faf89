package proxy

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/site"
)

// exchange is what is known of a request and its answer besides what stands in
// them. It is the context of the request.
type exchange struct {
	timeoutContext // of the request: the client's leaving ends it

	listener string
	payload  config.Payload // http, or raw for a message that isn't HTTP
	secure   bool           // the client's connection is encrypted
	local    netip.AddrPort // where the client came in; may be unknown
	peer     netip.AddrPort // whoever is connected
	client   netip.AddrPort // who asks, as far as trusted proxies tell
	exempt   bool           // from shares of a client: it is a trusted proxy that named none
	session  *megaki.Token  // nil if the client doesn't speak Megaki
	message  *megaki.Request
	upgrade  string // the protocol that a client wants to change to
	asked    string // the Host that the client asked for
	host     string // as it is compared: lower case, no port
	path     string // as it is compared
	written  string // as the client wrote it; empty if that could mean another path

	answer   answer
	started  time.Time
	base     context.Context // ends when requests are cut off
	stopping context.Context // ends when the door closes; nil on Megaki doors
	body     *body           // nil if there is none, or if it is a message's

	route    *route
	prefix   string     // of the path, which the route took off
	hostSet  bool       // the route set the Host, which a backend must keep
	script   site.Found // for FastCGI
	upstream string     // the address that answered
	refused  error      // by the door, before there was a request
	err      error      // why there was no answer, or a part of one only

	unanswered bool // even the error couldn't be told
}

// detach has a request go on when its client leaves. Nobody may wait for its
// context yet.
func (x *exchange) detach() { x.Context = x.base }

type exchangeKey struct{}

// Value implements context.Context: a context below finds the exchange by it.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.timeoutContext.Value(key)
}

// requestURI returns the path and query that the client asked for, before the
// route changed the path.
func (x *exchange) requestURI(r *http.Request) string {
	switch {
	case x.written == "":
		return x.prefix + r.URL.RequestURI()
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return x.written + "?" + r.URL.RawQuery
	}
	return x.written
}

// exchangeOf returns the exchange that a request belongs to, nil if none.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// in is the number of bytes that came from the client, headers of HTTP doors
// not counted.
func (x *exchange) in() int64 {
	switch {
	case x.message != nil:
		return int64(len(x.message.Body))
	case x.body != nil:
		return x.body.received.Load()
	}
	return 0
}

// answer is the way back to a client.
type answer interface {
	http.ResponseWriter
	// Status is what WriteHeader decided, 0 before.
	Status() int
	// Size is the number of bytes of the body; of a message, of all of it.
	Size() int64
	// Finish completes the answer. An error means that it isn't one.
	Finish() error
	// Reset takes back what was written, and reports false if it can't.
	Reset() bool
	// ChangeHeader sets what is done to the header before it is written.
	ChangeHeader(func(http.Header))
}
