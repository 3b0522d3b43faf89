// Package httpclient sends HTTP requests over Megaki. Its Transport is an
// http.RoundTripper, so that an http.Client does the rest: redirects, cookies,
// timeouts.
//
//	client := &http.Client{Transport: &httpclient.Transport{
//		Address: "megaki.example.org:6363",
//		Config:  megaki.Config{ServerKey: key},
//	}}
//	response, err := client.Get("https://example.org/")
//
// Each request is one message, and each response is one. So both are held in
// memory, and have a limit: Config.MaxMessage, for the head and the body
// together. What needs a stream is refused with an *UnsupportedError: upgrades
// such as WebSocket, CONNECT, trailers of requests.
package httpclient

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"mkd/megaki"
)

// Defaults for the zero fields of a Transport.
const (
	DefaultMaxConns    = 8
	DefaultMaxQueue    = 64
	DefaultIdleTimeout = 50 * time.Second
)

// Transport sends HTTP requests to one Megaki server, over a pool of
// connections that share a session. It is an http.RoundTripper, and safe for
// use by several goroutines. Its fields must not be changed once it is used.
//
// The URL of a request becomes the Host field and the path, and the server
// chooses a site by them. The Address alone decides where the request goes,
// whatever the URL: redirects to other sites go there as well. The scheme is
// http or https, and makes no difference.
//
// A connection resumes the session of the one before. If several begin at the
// same moment, mkd may ask one of them for a handshake; its session is the one
// that later connections resume.
//
// A request is sent again only if it was provably not sent: if the connection
// that was kept for it had closed, or had used up its key, before the first
// byte. After any other error the server may or may not have handled it.
//
// The errors that a caller may handle are *RequestError, *UnsupportedError and
// ErrBusy, with which nothing was sent, and *ResponseError. A *RequestError wraps
// a *megaki.TooLongError if the request is over the limit; without a
// *RequestError, that error is of a response.
type Transport struct {
	// Address of the Megaki server, HOST:PORT.
	Address string
	// Config for each connection. Its Session is the first to be resumed. Its
	// HandshakeTimeout also bounds the TCP connect.
	Config megaki.Config

	MaxConns    int           // connections at once
	MaxQueue    int           // requests that wait for a connection; -1: none
	IdleTimeout time.Duration // of a connection; shorter than the server's

	// OnConnect, if set, is called with each new connection before it carries
	// a message, for one connection at a time. Its Session is what to keep for
	// the next start of the program. After an error the connection is closed,
	// and the request fails. OnConnect must not send anything.
	OnConnect func(c *megaki.Conn) error

	once  sync.Once
	slots chan struct{} // full while MaxConns requests have a connection
	begun chan struct{} // full while a connection begins its session

	// Used while begun is held.
	key    *rsa.PrivateKey // made here if Config has none
	failed int             // connections in a row that didn't resume the session

	mu       sync.Mutex
	idle     []*idleConn // the one used last at the end
	admitted int         // requests that have a connection or wait for one
	session  *megaki.Session
}

func (t *Transport) maxConns() int              { return cmp.Or(max(t.MaxConns, 0), DefaultMaxConns) }
func (t *Transport) idleTimeout() time.Duration { return cmp.Or(t.IdleTimeout, DefaultIdleTimeout) }
func (t *Transport) maxMessage() int {
	return cmp.Or(t.Config.MaxMessage, megaki.DefaultMaxMessage)
}

func (t *Transport) maxQueue() int {
	if t.MaxQueue < 0 {
		return 0
	}
	return cmp.Or(t.MaxQueue, DefaultMaxQueue)
}

// RoundTrip implements http.RoundTripper. It returns when the whole response has
// been received.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body := &requestBody{ReadCloser: r.Body}
	defer body.Close()
	if err := check(r); err != nil {
		return nil, err
	}
	if err := t.admit(); err != nil { // before the body takes memory
		return nil, err
	}
	defer t.leave()
	message, err := encode(r, body, t.maxMessage())
	if err != nil {
		return nil, orEnded(r.Context(), &RequestError{err})
	}
	response, err := t.send(r.Context(), message)
	if err != nil {
		return nil, orEnded(r.Context(), err)
	}
	return ParseResponse(response, r)
}

// orEnded returns the context's error if that is what err wraps. http.Client
// sees only in an error that isn't wrapped whether it is a timeout.
func orEnded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return cause
	}
	return err
}

// Session returns a copy of the session, to be resumed later; nil if there is
// none yet.
func (t *Transport) Session() *megaki.Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := cmp.Or(t.session, t.Config.Session)
	if s == nil {
		return nil
	}
	clone := *s
	return &clone
}

// send sends a message over a connection of the pool, and returns the response.
func (t *Transport) send(ctx context.Context, message []byte) ([]byte, error) {
	t.once.Do(t.init)
	if err := acquire(ctx, t.slots); err != nil {
		return nil, err
	}
	defer release(t.slots)
	for {
		c := t.take()
		kept := c != nil
		if !kept {
			var err error
			if c, err = t.connect(ctx); err != nil {
				return nil, err
			}
		}
		response, err := c.RoundTrip(ctx, message)
		if err == nil {
			t.keep(c)
			return response, nil
		}
		c.Close()
		if !kept || !unsent(err) {
			return nil, fmt.Errorf("%s: %w", t.Address, err)
		}
	}
}

func (t *Transport) init() {
	t.slots = make(chan struct{}, t.maxConns())
	t.begun = make(chan struct{}, 1)
}

func acquire(ctx context.Context, slots chan struct{}) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func release(slots chan struct{}) { <-slots }
