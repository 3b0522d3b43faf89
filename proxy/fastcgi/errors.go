package fastcgi

import (
	"errors"
	"fmt"

	"mkd/proxy/roundtrip"
)

// Errors that a *roundtrip.Error may hold, besides those of package roundtrip and
// a RefusedError. All errors of RoundTrip and of the body of a response are of
// that type.
var (
	// ErrLengthRequired reports that the length of a request's body isn't known.
	ErrLengthRequired = fmt.Errorf("%w over FastCGI without its Content-Length: the body has to be received first", roundtrip.ErrRequest)
	// ErrParam reports that a parameter can't be sent: it is longer than a record,
	// has no name, or has a NUL.
	ErrParam = fmt.Errorf("%w over FastCGI with such a parameter", roundtrip.ErrRequest)
	// ErrProtocol reports that the server broke the FastCGI protocol.
	ErrProtocol = errors.New("the FastCGI server broke the protocol")
)

// RefusedError is the protocol status with which a server refuses a request
// (specification, section 5.5). The request wasn't run.
type RefusedError byte

// What a RefusedError may be. Others are unknown to the specification.
// ErrOverloaded is a roundtrip.ErrBusy.
const (
	ErrCannotMultiplex RefusedError = 1
	ErrOverloaded      RefusedError = 2
	ErrUnknownRole     RefusedError = 3
)

func (e RefusedError) Error() string {
	switch e {
	case ErrCannotMultiplex:
		return "the FastCGI server refused the request: it takes one at a time on a connection"
	case ErrOverloaded:
		return "the FastCGI server refused the request: it is overloaded"
	case ErrUnknownRole:
		return "the FastCGI server refused the request: it isn't a responder"
	}
	return fmt.Sprintf("the FastCGI server refused the request for a reason unknown to FastCGI (%d)", byte(e))
}

// Is reports whether target is roundtrip.ErrBusy and the server is overloaded.
func (e RefusedError) Is(target error) bool {
	return e == ErrOverloaded && target == roundtrip.ErrBusy
}
