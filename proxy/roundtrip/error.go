package roundtrip

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// Errors that an *Error may hold, besides those of a client package, a
// *net.OpError, an error of TLS, the context's cause, and io.ErrUnexpectedEOF for
// a response that was cut off or never came.
var (
	// ErrRequest reports that a request can't be sent as it is, to any server.
	ErrRequest = errors.New("the request can't be sent")
	// ErrLongHeader reports that the header of a request is longer than the server
	// takes. Nothing was sent.
	ErrLongHeader = errors.New("the header of the request is longer than the server takes")
	// ErrUnhandled reports that the server has announced that it didn't handle the
	// request, though it was sent: it may be sent again, whatever its method.
	ErrUnhandled = errors.New("the server didn't handle the request")
	// ErrRetired reports that the connection takes no more requests, since the server is
	// about to close it. It is an ErrUnhandled; another connection may do.
	ErrRetired = fmt.Errorf("%w, whose connection takes no more", ErrUnhandled)
	// ErrBody reports that a request's body couldn't be read, or had another
	// length than was announced. The server may have got a part of it.
	ErrBody = errors.New("the request's body can't be read")
	// ErrBusy reports that the request wasn't carried out because the server, or
	// the queue for it, is full.
	ErrBusy = errors.New("the server is busy")
	// ErrListenQueueFull reports that as many clients as may wait until the server accepts
	// them from its unix socket; of PHP-FPM, listen.backlog. It is an ErrBusy.
	ErrListenQueueFull = fmt.Errorf("%w, and the queue of its socket is full", ErrBusy)
	// ErrNoDescriptor reports that no descriptor is left for a connection. It is an
	// ErrBusy, though it isn't the server that is.
	ErrNoDescriptor error = noDescriptorError{}
	// ErrTimeout reports that the server took longer than it may.
	ErrTimeout error = timeoutError{}
	// ErrHeader reports that the header of a response is malformed or too long.
	ErrHeader = errors.New("the header of the response is malformed")
	// ErrClosed reports that the body of a response was closed before its end.
	ErrClosed = errors.New("the body of the response is closed")
)

type noDescriptorError struct{}

func (noDescriptorError) Error() string { return "mkd has no descriptor left for a connection" }
func (noDescriptorError) Unwrap() error { return ErrBusy }

// DialError returns the error of a dial: an ErrListenQueueFull, or an ErrNoDescriptor, if
// that is why it failed.
func DialError(err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN): // of a unix socket
		return fmt.Errorf("%w: %w", ErrListenQueueFull, err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("%w: %w", ErrNoDescriptor, err)
	}
	return err
}

type timeoutError struct{}

func (timeoutError) Error() string { return "the server took too long" }
func (timeoutError) Timeout() bool { return true }

// Error reports why a request failed, and how far it had come.
type Error struct {
	Protocol  string // of the server, for people
	Address   string // of the server
	Op        string // the step that failed, as in "connecting"
	Sent      bool   // whether the server may have got a part of the request
	Responded bool   // whether a byte of a response came
	Reused    bool   // whether it was on a kept connection
	Err       error  // the reason
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s: %v", e.Protocol, e.Address, e.Op, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the time for the step was over, be it the server's or
// the context's.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// Stale reports whether the server closed a kept connection in place of a
// response, or had no room for a request on one. Mostly it had closed it before the
// request came, but a server that died of the request looks the same.
func (e *Error) Stale() bool {
	return !e.Responded && (e.Reused && Disconnected(e.Err) || errors.Is(e.Err, ErrUnhandled))
}

// Disconnected reports whether an error means that the server closed the
// connection.
func Disconnected(err error) bool {
	if errors.Is(err, ErrBody) {
		return false
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) // the latter by a write
}

// ReadError returns what an error of a read means to a response that isn't
// complete: the end of the connection cuts it off.
func ReadError(err error) error {
	switch {
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	}
	return err
}
