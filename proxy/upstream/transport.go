package upstream

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
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
// read the connection is in use, and no timeout of the Transport runs. Another is sent by a goroutine
// of its own, while the answer is awaited; that goroutine has ended when the
// answer was read to its end or closed. For this Read of a request's body has to
// return once the body is closed, which may be done while it reads. The body is
// always closed; a dial that fails has not read of it.
//
// If Header has Connection: Upgrade and an Upgrade field, these are sent. The
// Body of a 101 answer is then an io.ReadWriteCloser over the connection, which
// has a CloseWrite method too, no deadlines, and outlives the context.
//
// With Expect: 100-continue the body is sent once the server asks for it, or
// hasn't answered for a second. Other 1xx answers go to Got1xxResponse of the
// context's httptrace.ClientTrace.
type Transport struct {
	Network string // tcp or unix; default: tcp
	Address string // HOST:PORT, or the socket's path. The name is resolved at each dial

	// TLS is the configuration for TLS; nil: none. ServerName is by default the
	// host of Address. ALPN offers http/1.1 only.
	TLS *tls.Config

	DialTimeout time.Duration // includes the handshake of TLS; less than 0: none
	// ResponseTimeout bounds the wait for the head of the final answer, and
	// ReadTimeout each Read of its body. Both run anew when the server takes a
	// part of a body that is sent in the background, and stand still while a part
	// of it is awaited: how long that may take is up to the body. Less than 0:
	// none.
	ResponseTimeout time.Duration
	ReadTimeout     time.Duration

	// MaxConnections bounds the connections that are open at once. 0: no limit.
	MaxConnections int
	// Queue is how many requests may wait for one of them, first come, first
	// served; less than 0: none. QueueTimeout is how long; less than 0: for ever.
	Queue        int
	QueueTimeout time.Duration

	// MaxIdle is how many connections are kept that aren't in use; less than 0:
	// none. They are closed when they have been idle for IdleTimeout, or a second
	// before the server's Keep-Alive field says that it closes them. None is kept
	// for longer than 5 minutes, so that changes in DNS are followed.
	MaxIdle     int
	IdleTimeout time.Duration

	MaxHeader int // bytes of the answer's head, with the 1xx answers before it

	// Excess is called for a response that is followed by bytes that aren't part
	// of it, as one with more bytes than its Content-Length. They are dropped, and
	// the connection isn't used again. Default: nothing.
	Excess func(r *http.Request)

	active atomic.Int64

	mu      sync.Mutex
	inUse   int             // connections; counted only if they are limited
	waiters []chan struct{} // each is closed when a connection is free for it
	idle    []*conn         // the one used last is the last
	sweeper *time.Timer     // closes idle connections
	sweepAt time.Time       // when sweeper runs next; zero: it doesn't

	config  atomic.Pointer[tls.Config] // TLS, completed
	buffers sync.Pool                  // of *[]byte
	readers sync.Pool                  // of *bufio.Reader
}

// Sizes of buffers, in bytes.
const (
	smallBody   = 64 << 10  // a body up to here is sent together with its head
	requestSize = 2 << 10   // a new buffer for a request
	maxKeptSize = 128 << 10 // a buffer above isn't used again
	readerSize  = 16 << 10
	partSize    = 32 << 10 // a part of a longer body
)

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.active.Add(1)
	x := &exchange{t: t, r: r, body: r.Body, length: r.ContentLength, waits: waits{began: time.Now()}}
	return x.roundTrip()
}

// Active returns the number of requests that are under way: they wait for a
// connection or an answer, or their answer's body is neither read to its end nor
// closed.
func (t *Transport) Active() int { return int(t.active.Load()) }

// limit returns a timeout, or 0 for none.
func limit(configured, standard time.Duration) time.Duration {
	return max(0, cmp.Or(configured, standard))
}

func (t *Transport) maxHeader() int { return cmp.Or(t.MaxHeader, DefaultMaxHeader) }

// getBuffer returns an empty buffer.
func (t *Transport) getBuffer() *[]byte {
	if b, ok := t.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, requestSize)
	return &b
}

func (t *Transport) putBuffer(b *[]byte) {
	if cap(*b) <= maxKeptSize {
		*b = (*b)[:0]
		t.buffers.Put(b)
	}
}

func (t *Transport) getReader() *bufio.Reader {
	if br, ok := t.readers.Get().(*bufio.Reader); ok {
		return br
	}
	return bufio.NewReaderSize(nil, readerSize)
}

func (t *Transport) putReader(br *bufio.Reader) {
	br.Reset(nil)
	t.readers.Put(br)
}
