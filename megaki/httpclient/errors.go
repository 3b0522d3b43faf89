package httpclient

import (
	"errors"

	"mkd/megaki"
)

// ErrBusy is returned for a request when all connections are in use and
// MaxQueue requests wait for one. Nothing was sent.
var ErrBusy = errors.New("all connections to the server are in use, and the queue for them is full")

// RequestError is returned for a request that is wrong in itself, that is too
// long, or whose body can't be read. Nothing was sent.
type RequestError struct {
	Err error // what is wrong with it
}

func (e *RequestError) Error() string { return "the request: " + e.Err.Error() }

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// UnsupportedError is returned for a request that a message can't carry.
// Nothing was sent.
type UnsupportedError struct {
	Feature string // what the request needs
}

func (e *UnsupportedError) Error() string {
	return e.Feature + " can't be sent over Megaki, where a message is exactly one request or one response"
}

// ResponseError is returned for a message of the server that isn't exactly one
// HTTP/1.1 response. The server may have handled the request.
type ResponseError struct {
	Err error // what is wrong with it
}

func (e *ResponseError) Error() string {
	return "what the server sent is no HTTP response: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *ResponseError) Unwrap() error { return e.Err }

// unsent reports whether an error of a connection shows that nothing of the
// message was sent, and that another connection can send it.
func unsent(err error) bool {
	return errors.Is(err, megaki.ErrStale) || errors.Is(err, megaki.ErrKeyUsed)
}
