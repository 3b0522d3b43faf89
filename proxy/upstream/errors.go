package upstream

import (
	"errors"
	"fmt"

	"mkd/proxy/roundtrip"
)

// Errors that a *roundtrip.Error may hold, besides those of package roundtrip.
// All errors of RoundTrip and of the body of a response are of that type.
var (
	// ErrQueueFull reports that all connections are in use and as many requests
	// wait for one as may. It is a roundtrip.ErrBusy.
	ErrQueueFull = fmt.Errorf("%w: too many requests wait for a connection", roundtrip.ErrBusy)
	// ErrQueueTimeout reports that no connection became free in time. It is a
	// roundtrip.ErrBusy, and a timeout.
	ErrQueueTimeout error = queueTimeoutError{}
	// ErrChunked reports that the chunked coding of a response is broken.
	ErrChunked = errors.New("the chunked coding of the response is broken")
)

type queueTimeoutError struct{}

func (queueTimeoutError) Error() string { return "no connection to the server became free in time" }
func (queueTimeoutError) Timeout() bool { return true }
func (queueTimeoutError) Unwrap() error { return roundtrip.ErrBusy }

var errProtocol = fmt.Errorf("%w: it doesn't begin with a status line of HTTP/1", roundtrip.ErrHeader)
