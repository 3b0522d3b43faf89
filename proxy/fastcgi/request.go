package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// request is a request that is ready to be sent.
type request struct {
	t      *Transport
	r      *http.Request
	head   *[]byte       // BEGIN_REQUEST, PARAMS, and all of STDIN if the body is short
	body   io.ReadCloser // what is to be sent after head; nil: nothing
	length int64         // of the body in bytes
}

// newRequest makes a request ready. It closes the body of one that can't be sent.
func (t *Transport) newRequest(r *http.Request) (*request, error) {
	q := &request{t: t, r: r, body: r.Body, length: r.ContentLength}
	if r.Body == http.NoBody || r.Body == nil {
		q.closeBody()
		q.length = 0
	}
	if q.length < 0 {
		q.closeBody()
		return nil, t.fail(&Error{Op: "reading the request", Err: ErrLengthRequired})
	}
	q.head = t.getBuffer()
	if err := q.assemble(); err != nil {
		q.closeBody()
		q.release()
		return nil, t.fail(&Error{Op: "making the request", Err: err})
	}
	return q, nil
}

// assemble fills head.
func (q *request) assemble() (err error) {
	b := appendBegin((*q.head)[:0], q.t.KeepAlive > 0)
	defer func() { *q.head = b }() // as it has grown
	if b, err = q.t.appendRequestParams(b, q.r, q.length); err != nil {
		return err
	}
	if q.length > smallBody {
		return nil
	}
	if q.body != nil {
		if q.length > 0 {
			b = appendHeader(b, typeStdin, int(q.length))
			n := len(b)
			b = slices.Grow(b, int(q.length))[:n+int(q.length)]
			if _, err := io.ReadFull(q.body, b[n:]); err != nil {
				return bodyError(err)
			}
		}
		if err := atEnd(q.body, q.length); err != nil {
			return err
		}
		q.closeBody()
	}
	b = appendHeader(b, typeStdin, 0)
	return nil
}

// bodyError says why a request's body wasn't read to its announced end.
func bodyError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it is shorter than its Content-Length: %w", ErrBody, err)
	}
	return fmt.Errorf("%w: %w", ErrBody, err)
}

// atEnd checks that a body has no more than the length bytes that were read.
func atEnd(body io.Reader, length int64) error {
	var p [1]byte
	for range 100 { // of nothing; a reader that does so for ever is broken
		n, err := body.Read(p[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: it is longer than its Content-Length, %d", ErrBody, length)
		case err == io.EOF:
			return nil
		case err != nil:
			return bodyError(err)
		}
	}
	return fmt.Errorf("%w: %w", ErrBody, io.ErrNoProgress)
}

// rewind makes the request ready to be sent again on a new connection, after it
// failed on a kept one. It reports whether that is right.
func (q *request) rewind(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Answered || !disconnected(e.Err) || e.Sent && !idempotent(q.r.Method) {
		return false
	}
	if q.length <= smallBody {
		return true // it is in head
	}
	if q.r.GetBody == nil {
		return false
	}
	body, err := q.r.GetBody()
	if err != nil {
		return false
	}
	q.body = body
	return true
}

// again tells whether the body can be had once more.
func (q *request) again() bool { return q.length <= smallBody || q.r.GetBody != nil }

// repeatable tells whether the request may be sent again though it was sent
// before.
func (q *request) repeatable() bool { return idempotent(q.r.Method) && q.again() }

func idempotent(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// closeBody closes the body if that wasn't done yet.
func (q *request) closeBody() {
	if q.body != nil {
		q.body.Close()
		q.body = nil
	}
}

// release gives head back. It isn't being sent any more.
func (q *request) release() {
	if q.head != nil {
		q.t.putBuffer(q.head)
		q.head = nil
	}
}
