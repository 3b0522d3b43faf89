package upstream

import (
	"context"
	"errors"
	"fmt"
)

// Errors that an *Error may hold, besides a *net.OpError, an error of TLS, the
// context's cause, and io.ErrUnexpectedEOF for an answer that was cut or never
// came.
var (
	// ErrRequest says that a request can't be sent as it is: a field has a bad
	// name or a control character in its value, or the target is malformed.
	ErrRequest = errors.New("the request can't be sent")
	// ErrBody says that a request's body couldn't be read, or had another length
	// than it said. The server may have seen a part of it.
	ErrBody = errors.New("the request's body can't be read")
	// ErrQueueFull says that all connections are in use and as many requests
	// wait for one as may.
	ErrQueueFull = errors.New("too many requests wait for a connection")
	// ErrQueueTimeout says that no connection became free in time.
	ErrQueueTimeout = errors.New("no connection became free in time")
	// ErrTimeout says that the server took longer than the Transport allows.
	ErrTimeout = errors.New("the server took too long")
	// ErrHeader says that an answer's head isn't one of HTTP/1, is too long, or
	// doesn't tell clearly where the answer ends.
	ErrHeader = errors.New("the answer's header is wrong")
	// ErrChunked says that an answer's chunked coding is broken.
	ErrChunked = errors.New("the answer's chunked coding is broken")
	// ErrClosed says that the answer's body was closed before its end.
	ErrClosed = errors.New("the answer's body is closed")
)

// Error says why a request failed, and how far it had come. All errors of
// RoundTrip and of an answer's body are of this type.
type Error struct {
	Op       string // the step that failed, as in "reading the answer"
	Address  string // of the server
	Sent     bool   // whether the server may have got a part of the request
	Answered bool   // whether a byte of an answer came
	Reused   bool   // whether it was on a kept connection
	Err      error  // the reason
}

func (e *Error) Error() string { return fmt.Sprintf("HTTP %s: %s: %v", e.Address, e.Op, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the time for the step was over, be it the
// Transport's or the context's.
func (e *Error) Timeout() bool {
	if errors.Is(e.Err, ErrTimeout) || errors.Is(e.Err, ErrQueueTimeout) || errors.Is(e.Err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Stale reports whether the server closed a kept connection rather than answer
// on it. Mostly it had closed it before the request came, but it can't be told
// from one that died of the request.
func (e *Error) Stale() bool { return e.Reused && !e.Answered && disconnected(e.Err) }
