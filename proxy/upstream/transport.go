package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mkd/proxy/roundtrip"
	"mkd/share"
)

// Defaults of the fields of a Transport that are zero.
const (
	DefaultDialTimeout     = 5 * time.Second
	DefaultResponseTimeout = 60 * time.Second
	DefaultReadTimeout     = 60 * time.Second
	DefaultIdleTimeout     = 30 * time.Second
	DefaultQueue           = 1024
	DefaultQueueTimeout    = 10 * time.Second
	DefaultMaxIdle         = 100
	DefaultMaxHeader       = 64 << 10 // bytes
)

// Transport is an http.RoundTripper to one HTTP/1.1 server, whatever the host
// of a request's URL. It is safe for use by several goroutines; its fields must
// not change once it is used, and it must not be copied.
//
// Of a request it sends the method, URL.RequestURI() as the target, Host (or
// URL.Host), and the fields of Header sorted by name, without those that
// concern the connection or the framing: Connection, Content-Length, Expect,
// Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding and Upgrade. The
// framing comes from Body and ContentLength: where that is -1, or 0 although
// there is a body, the body is chunked. Request.Trailer isn't sent, and CONNECT
// is refused.
//
// A body of up to 64 KiB whose length is known is read once there is a
// connection, and sent together with the head. It should be at hand: while it is
// read the connection is in use, and no timeout of the Transport runs. A goroutine
// sends any other body while the response is awaited; it has ended when the
// response was read to its end or closed. For this, Read of a request's body has
// to return once the body is closed, which may happen while it reads. The body is
// always closed; a dial that fails has not read of it.
//
// If Header has Connection: Upgrade and an Upgrade field, these are sent. The
// Body of a 101 response is then an io.ReadWriteCloser over the connection, which
// has a CloseWrite method too, no deadlines, and outlives the context.
//
// With Expect: 100-continue the body is sent once the server asks for it, or
// hasn't responded for a second. Other 1xx responses go to Events.Inform: see Do.
type Transport struct {
	Network string // tcp or unix; default: tcp
	Address string // HOST:PORT, or the socket's path

	// Resolve is how often the name in Address is looked up: in the background, while
	// there are requests. New connections are spread over its addresses, and kept ones
	// to an address that is gone are closed; if a look-up fails, the last addresses
	// stay. 0: it is looked up at each dial.
	Resolve time.Duration
	// Lookup looks a name up. Default: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]string, error)

	// TLS is the configuration for TLS; nil: none. ServerName is by default the
	// host of Address. ALPN offers http/1.1 only.
	TLS *tls.Config

	DialTimeout time.Duration // includes the handshake of TLS; less than 0: none
	// ResponseTimeout bounds the wait for the head of the final response, and
	// ReadTimeout each Read of its body. Both run anew when the server takes a
	// part of a body that is sent in the background, and stop while a part of it
	// is awaited: how long that may take is up to the body. Less than 0: none.
	ResponseTimeout time.Duration
	ReadTimeout     time.Duration

	// MaxConnections bounds the connections that are open at once, but for that of Check.
	// 0: no limit. A client may have as many as share.Pool allows.
	MaxConnections int
	// Queue is how many requests may wait for one of them; less than 0: none. Clients
	// take turns, see share.Queue. QueueTimeout is how long; less than 0: for ever.
	Queue        int
	QueueTimeout time.Duration

	// MaxIdle is how many connections are kept that aren't in use; less than 0:
	// none. They are closed when they have been idle for IdleTimeout, or a second
	// before the server closes them by its Keep-Alive field. None is kept
	// for longer than 5 minutes, so that changes in DNS are followed.
	MaxIdle     int
	IdleTimeout time.Duration

	MaxHeader int // bytes of the head of a response, with the 1xx responses before it

	active atomic.Int64

	mu    sync.Mutex
	conns *share.Pool          // connections in use; nil: they aren't limited, or none was used yet
	queue *share.Queue[waiter] // likewise

	idle roundtrip.Idle[*conn]

	named sync.Once
	names *names // nil: Address is taken as it is

	config  atomic.Pointer[tls.Config] // TLS, completed
	buffers roundtrip.Buffers
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.Do(r, nil, roundtrip.NoEvents)
}

// Do is RoundTrip, and calls the events of the request. The header of the response is h,
// whose fields are replaced; nil: a new one.
func (t *Transport) Do(r *http.Request, h http.Header, e roundtrip.Events) (*http.Response, error) {
	return t.DoFor(netip.Prefix{}, nil, r, h, e)
}

// DoFor is Do for a client, see share.Network: whose turn the request waits for if the
// connections are limited. The zero Prefix is a client of its own each time. A preface that
// isn't nil, as the header of the PROXY protocol, gives the request a connection of its
// own, which is closed after the response: it begins with the preface, which is written
// before the handshake of TLS.
func (t *Transport) DoFor(client netip.Prefix, preface []byte, r *http.Request, h http.Header, e roundtrip.Events) (*http.Response, error) {
	t.active.Add(1)
	rt := &roundTrip{t: t, r: r, header: h, events: e, client: client, preface: preface}
	return rt.do()
}

// Check is RoundTrip for a health check, with a preface as in DoFor. It doesn't wait for one
// of MaxConnections, and takes none: a server with all of them in use may be well.
func (t *Transport) Check(preface []byte, r *http.Request) (*http.Response, error) {
	t.active.Add(1)
	rt := &roundTrip{t: t, r: r, events: roundtrip.NoEvents, preface: preface, uncounted: true}
	return rt.do()
}

// Active returns the number of requests in flight: they wait for a connection or
// a response, or the body of their response is neither read to its end nor closed.
func (t *Transport) Active() int { return int(t.active.Load()) }

// Waiting returns the number of requests that wait for a connection.
func (t *Transport) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting()
}

// resolved returns the names of the server, nil if its address is taken as it is.
func (t *Transport) resolved() *names {
	if t.Resolve <= 0 {
		return nil
	}
	t.named.Do(func() { t.names = newNames(t.Address, t.Resolve, t.Lookup, t.closeGone) })
	return t.names
}

func (t *Transport) maxHeader() int { return cmp.Or(t.MaxHeader, DefaultMaxHeader) }
