package request

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"mkd/config"
	"mkd/megaki"
	"mkd/proxy/httpmsg"
)

// Kind is why a request has no response, or an error for one. Whoever meets
// an error gives it its kind: a backend those of its client package.
type Kind uint8

// The kinds. See statuses for the status of each.
const (
	Broken          Kind = iota // the backend broke off, or what it sent isn't a response
	BadRequest                  // the request is malformed
	Misdirected                 // the connection was opened for a name with other rules
	Unauthorized                // the client hasn't proven who it is
	Forbidden                   // the client has proven who it is, and may not do this
	NoCertificate               // the route needs a client's certificate, and there is none
	NoRoute                     // no route takes the request
	NotFound                    // there is nothing at this path
	BadMethod                   // what is there doesn't have this method
	SlowBody                    // the client sent its body too slowly
	NoLength                    // the backend needs to know the length of the body
	FailedCondition             // a precondition of the client doesn't hold
	TooLarge                    // the body passes a limit
	BadRange                    // the range that the client wants doesn't exist
	TooMany                     // the client has passed a rate
	ClientGone                  // the client left before the response was complete
	Failed                      // the script failed
	Fault                       // mkd itself failed
	Busy                        // all workers or connections are in use, or a limit of memory is reached
	Down                        // no server of the backend can be reached
	Maintenance                 // mkd maintenance on
	Stopping                    // cut off at the end of shutdown_timeout
	TimedOut                    // the backend took too long
	DiskFull                    // there is no room for the body
	numKinds
)

// Kinds returns all kinds.
func Kinds() (all []Kind) {
	for k := range numKinds {
		all = append(all, k)
	}
	return all
}

// String returns the kind as it is named in metrics.
func (k Kind) String() string {
	return [numKinds]string{
		Broken: "broken_response", BadRequest: "bad_request", Misdirected: "misdirected", Unauthorized: "unauthorized", Forbidden: "forbidden", NoCertificate: "no_certificate",
		NoRoute: "no_route", NotFound: "not_found", BadMethod: "bad_method",
		SlowBody: "slow_body", NoLength: "no_length", FailedCondition: "failed_condition", TooLarge: "too_large",
		BadRange: "bad_range", TooMany: "rate_limit", ClientGone: "client_gone", Failed: "script_failed", Fault: "fault_in_mkd",
		Busy: "busy", Down: "backend_down", Maintenance: "maintenance", Stopping: "stopping", TimedOut: "timed_out", DiskFull: "disk_full",
	}[k]
}

// Error is an error with a kind.
type Error struct {
	Kind Kind
	Err  error
	// Hint is what the client can do about it; "": nothing.
	Hint string
	// RetryAfter is when the client may try again; 0: the kind decides.
	RetryAfter time.Duration
	// Challenge is the WWW-Authenticate field of a 401 or 403; "": none.
	Challenge string
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error of a kind.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// Errors of the proxy itself.
var (
	ErrNoRoute       error = &Error{Kind: NoRoute, Err: errors.New("no route matches")}
	ErrClientGone    error = &Error{Kind: ClientGone, Err: errors.New("the client left before its response was complete")}
	ErrMaintenance   error = &Error{Kind: Maintenance, Err: errors.New("mkd is in maintenance"), RetryAfter: time.Minute}
	ErrStopping      error = &Error{Kind: Stopping, Err: errors.New("cut off at the end of shutdown_timeout")}
	ErrNoCertificate error = &Error{Kind: NoCertificate, Err: errors.New("the client has no certificate"), Hint: "A client certificate is needed here."}
	ErrMisdirected   error = &Error{Kind: Misdirected, Err: errors.New("the TLS connection was opened for a name with other rules for certificates of clients")}
	ErrAborted       error = &Error{Kind: Broken, Err: errors.New("a handler aborted the response")}
)

// Malformed returns an error of kind BadRequest, whose text the client sees.
func Malformed(text string) error {
	return &Error{Kind: BadRequest, Err: errors.New("bad request: " + text), Hint: text}
}

// tooLarge returns the error of a body that passes the max_body of its route.
func tooLarge(limit int64) error {
	return &Error{
		Kind: TooLarge,
		Err:  fmt.Errorf("the request's body is longer than the route's max_body, %v", config.Size(limit)),
		Hint: fmt.Sprintf("A body may have %v here.", config.Size(limit)),
	}
}

// ClientError is an error of reading the request's body from the client.
type ClientError struct{ Err error }

func (e *ClientError) Error() string { return "reading the request's body: " + e.Err.Error() }
func (e *ClientError) Unwrap() error { return e.Err }

func (e *ClientError) kind() Kind {
	var own *Error
	switch {
	case errors.As(e.Err, &own):
		return own.Kind
	case errors.Is(e.Err, os.ErrDeadlineExceeded):
		return SlowBody
	case errors.As(e.Err, new(*net.OpError)), errors.Is(e.Err, context.Canceled):
		return ClientGone
	}
	return BadRequest // its framing is malformed, or it ends too soon
}

// KindOf returns the kind of an error.
func KindOf(err error) Kind {
	var (
		message *httpmsg.Error
		own     *Error
		client  *ClientError
		timed   interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &client): // first: a backend may have wrapped it
		return client.kind()
	case errors.As(err, &own):
		return own.Kind
	case errors.As(err, &message):
		return BadRequest
	case errors.Is(err, context.Canceled):
		return ClientGone
	case errors.Is(err, megaki.ErrMemory):
		return Busy
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timed) && timed.Timeout():
		return TimedOut
	}
	return Broken
}
