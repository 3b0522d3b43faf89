package request

import (
	"errors"
	"io"
	"net"
	"net/http"
)

// Response is the way back to a client. Its listener decides what it is: bytes
// that go to a connection as they are written, or a Message.
type Response interface {
	http.ResponseWriter

	// Status returns the status of the final response, 0 before WriteHeader.
	Status() int

	// Size returns the number of bytes of the body; of a message, of all of it.
	Size() int64

	// Finish completes the response. An error means that it can't be completed.
	Finish() error

	// Reset takes back what was written, and reports false if it can't.
	Reset() bool

	// ChangeHeader sets what is done to the header when it is written.
	ChangeHeader(func(http.Header))
}

// Message is a Response that is sent in one piece, when it is complete: a Megaki
// message.
type Message interface {
	Response
	io.ReaderFrom

	// SetReason sets the reason phrase of the status line.
	SetReason(string)

	// Verbatim returns a writer of the message itself, for a backend that
	// writes all of it, head included.
	Verbatim() io.Writer
}

// IsMessage reports whether a response is sent in one piece.
func IsMessage(w http.ResponseWriter) bool {
	_, ok := w.(Message)
	return ok
}

// Replacer is a Response that may send something else than it is given, if that is an
// error (4xx, 5xx).
type Replacer interface {
	// Replaces reports whether that is so for a response with a status that hasn't begun.
	Replaces(status int) bool
}

// IsReplaced reports whether w, or a response that it wraps, is a Replacer that replaces an
// error with a status: its body is of no use.
func IsReplaced(w http.ResponseWriter, status int) bool {
	for {
		if r, ok := w.(Replacer); ok {
			return r.Replaces(status)
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
}

// Switcher is a Response whose connection can change to another protocol.
type Switcher interface {
	// SwitchProtocols sends a 101 response with the header, and hands the
	// connection over, with a reader of what comes from the client. The
	// connection has no deadlines.
	SwitchProtocols() (net.Conn, io.Reader, error)
}

// SwitchProtocols calls the method of a response that is a Switcher. It is for a Response
// that wraps another one.
func SwitchProtocols(w Response) (net.Conn, io.Reader, error) {
	s, ok := w.(Switcher)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	return s.SwitchProtocols()
}
