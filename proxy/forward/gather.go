package forward

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"mkd/proxy/request"
)

// smallBody is how many bytes of a body are received before the origin is
// connected: a slow client then holds no connection to it, and the request can be
// sent again.
const smallBody = 64 << 10

// nothing is what has to be closed of a body that isn't kept.
var nothing = io.NopCloser(nil)

// gather receives a whole small body, and the first bytes of another one: a
// client that sends none holds no connection to the origin. The result must be
// closed when the request has its response.
func gather(s *Spool, r *request.Request) (io.Closer, error) {
	if r.Body != nil && r.GetBody == nil && (r.ContentLength < 0 || r.ContentLength > smallBody) {
		return nothing, gatherFirst(r.Request)
	}
	return s.Receive(r)
}

// gatherFirst waits for the first bytes of a body, or its end.
func gatherFirst(r *http.Request) error {
	first := make([]byte, 4<<10)
	n, err := 0, error(nil)
	for n == 0 && err == nil {
		n, err = r.Body.Read(first)
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case n == 0 && r.ContentLength > 0:
		return &request.ClientError{Err: io.ErrUnexpectedEOF}
	case n == 0:
		delete(r.Header, "Expect")
		r.Body, r.ContentLength = http.NoBody, 0
		return nil
	}
	delete(r.Header, "Expect") // it has been met
	r.Body = &startedBody{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
	return nil
}

// startedBody is a body whose first bytes have been read.
type startedBody struct {
	io.Reader
	io.Closer
}
