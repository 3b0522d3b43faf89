package fastcgi

import (
	"net/http"
	"time"

	"mkd/proxy/roundtrip"
)

// Defaults of the fields of a Transport that are zero.
const (
	DefaultDialTimeout     = 5 * time.Second
	DefaultResponseTimeout = 60 * time.Second
	DefaultReadTimeout     = 60 * time.Second
	DefaultIdleTimeout     = 2 * time.Second
	DefaultMaxHeader       = 64 << 10 // bytes
)

// Transport is an http.RoundTripper to one FastCGI server. It is safe for use
// by several goroutines; its fields must not change once it is used, and it
// must not be copied.
//
// A request needs a ContentLength. A body of up to 32 KiB is read before the
// server is dialled; a longer one is read while it is sent, so it should be at
// hand: should it fail, PHP runs the script with what it got. Read of a
// request's body has to return once the body is closed.
//
// A request gets a kept connection that was used just now only if it may be sent
// again: its method is idempotent (RFC 9110, section 9.2.2), and its body is short
// or can be read again by Request.GetBody. Then whoever chooses the server can
// repeat it if the server has closed the connection just as well
// (roundtrip.Error.Stale). Other requests get one that has been idle for 50 ms, by
// when the server would have closed it, or a new one.
//
// The status of the response is that of the Status field (RFC 3875, section
// 6.3.3); without one it is 302 if there is a Location, else 200. A Location
// that is a mere path goes to the client, too; it isn't followed here. Fields
// that concern a connection only are left to whoever forwards the response, and
// so is a 1xx status, which can't be the final one. A response that has come
// completely with its header, as short ones do, has its ContentLength even if the
// script didn't set it.
type Transport struct {
	Network string // tcp or unix; default: tcp
	Address string // HOST:PORT, or the socket's path

	// Call returns the call of a request, for RoundTrip.
	Call func(r *http.Request) *Call

	DialTimeout time.Duration // less than 0: none
	// ResponseTimeout bounds the wait for the header of the response, and
	// ReadTimeout each Read of its body. Both run anew when the server takes a
	// part of a body that is longer than 32 KiB, and stop while a part of it is
	// awaited. Less than 0: none.
	ResponseTimeout time.Duration
	ReadTimeout     time.Duration

	// KeepAlive is the number of idle connections that are kept. Each occupies a
	// worker of PHP-FPM, so there must be fewer than pm.max_children, counted
	// over all that use the server. 0: none; then the server closes the
	// connection.
	KeepAlive   int
	IdleTimeout time.Duration // after which an idle connection is closed

	MaxHeader int // bytes of the header of the response

	idle    roundtrip.Idle[*conn]
	buffers roundtrip.Buffers
}

// Call is what a request to a FastCGI server has besides its http.Request.
type Call struct {
	// Params adds the parameters of the request. Script.AddParams does most of it. An
	// error ends the request before the server is dialled.
	Params func(p *Params) error

	// Stderr gets what the script writes to its error output, line by line
	// without the line's end. It may hold any byte. A line longer than 4 KiB
	// comes in pieces. Of what comes after 256 KiB only the length is reported. It
	// is called by Do, and by Read and Close of the response's body. Default:
	// nothing.
	Stderr func(line string)

	// Header is the header of the response, whose fields are replaced. Default: a new
	// one.
	Header http.Header

	// Events is called for what happens besides. There are no informational
	// responses. A response with fewer bytes than its Content-Length is cut:
	// io.ErrUnexpectedEOF. Default: roundtrip.NoEvents.
	Events roundtrip.Events
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.Do(r, t.Call(r)) }

// Do sends a request, and returns its response as RoundTrip does.
func (t *Transport) Do(r *http.Request, c *Call) (*http.Response, error) {
	rt := &roundTrip{t: t, r: r, call: c, left: -1}
	return rt.do()
}
