package request

import (
	"io"
)

// body counts the bytes of a request's body, and keeps to the route's limit.
type body struct {
	io.ReadCloser
	r     *Request
	limit int64 // 0: none
}

// CountBody counts the bytes of the request's body from now on, and stops the timeout
// while they are awaited.
func (r *Request) CountBody() {
	if r.Body != nil {
		r.Body = &body{ReadCloser: r.Body, r: r}
	}
}

// LimitBody bounds the request's body to n bytes. A body that is known to be
// longer is refused at once, with an error of kind TooLarge; another one when it
// passes the limit.
func (r *Request) LimitBody(n int64) error {
	if r.ContentLength > n {
		return tooLarge(n)
	}
	if b, ok := r.Body.(*body); ok {
		b.limit = n
	}
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	b.r.awaitClient(true)
	n, err := b.ReadCloser.Read(p)
	b.r.awaitClient(false)
	if total := b.r.received.Add(int64(n)); b.limit > 0 && total > b.limit {
		return 0, tooLarge(b.limit)
	}
	if err != nil && err != io.EOF {
		err = &ClientError{err}
	}
	return n, err
}
