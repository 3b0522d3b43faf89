package fastcgi

import (
	"context"
	"errors"
	"fmt"
)

// Errors that an *Error may hold, besides a *net.OpError, the context's cause,
// io.ErrUnexpectedEOF for an answer that was cut, and a Refusal.
var (
	// ErrLengthRequired says that the length of a request's body isn't known.
	ErrLengthRequired = errors.New("a request over FastCGI needs its Content-Length: the body has to be received first")
	// ErrBody says that a request's body couldn't be read, or had another length
	// than it said. PHP may have seen a part of it.
	ErrBody = errors.New("the request's body can't be read")
	// ErrParam says that a parameter can't be sent: it is longer than a record,
	// has no name, or holds a NUL.
	ErrParam = errors.New("a parameter can't be sent over FastCGI")
	// ErrBusy says that the queue of connections at a unix socket is full: all
	// workers are busy, and listen.backlog clients wait for them.
	ErrBusy = errors.New("the FastCGI server is busy, and its queue full")
	// ErrTimeout says that the server took longer than the Transport allows.
	ErrTimeout = errors.New("the FastCGI server took too long")
	// ErrProtocol says that the server broke the FastCGI protocol.
	ErrProtocol = errors.New("the FastCGI server broke the protocol")
	// ErrHeader says that an answer's header isn't one, or is too long.
	ErrHeader = errors.New("the answer's header is wrong")
	// ErrClosed says that the answer's body was closed before its end.
	ErrClosed = errors.New("the answer's body is closed")
)

// Refusal is the protocol status with which a server declines a request
// (specification, section 5.5). The request wasn't run.
type Refusal byte

// What a Refusal may be. Others are unknown to the specification.
const (
	CannotMultiplex Refusal = 1
	Overloaded      Refusal = 2
	UnknownRole     Refusal = 3
)

func (r Refusal) Error() string {
	switch r {
	case CannotMultiplex:
		return "the FastCGI server declined: it takes one request at a time on a connection"
	case Overloaded:
		return "the FastCGI server declined: it is overloaded"
	case UnknownRole:
		return "the FastCGI server declined: it isn't a responder"
	}
	return fmt.Sprintf("the FastCGI server declined for a reason unknown to FastCGI (%d)", byte(r))
}

// Error says why a request failed, and how far it had come. All errors of
// RoundTrip and of an answer's body are of this type.
type Error struct {
	Op       string // the step that failed, as in "reading the answer"
	Address  string // of the server
	Sent     bool   // whether the server may have got a part of the request
	Answered bool   // whether a byte of an answer came, of whatever kind
	Err      error  // the reason
}

func (e *Error) Error() string { return fmt.Sprintf("FastCGI %s: %s: %v", e.Address, e.Op, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the time for the step was over, be it the
// Transport's or the context's.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.Is(e.Err, ErrTimeout) || errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &t) && t.Timeout()
}
