package balance

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// countBody counts a request as in flight until the body of its response ends or
// is closed.
func (s *state) countBody(resp *http.Response) {
	switch body := resp.Body.(type) {
	case nil:
		s.active.Add(-1)
	case io.ReadWriteCloser: // after a change of protocol
		resp.Body = &countedConn{ReadWriteCloser: body, s: s}
	default:
		if body == http.NoBody {
			s.active.Add(-1)
			return
		}
		resp.Body = &countedBody{ReadCloser: body, s: s}
	}
}

type countedBody struct {
	io.ReadCloser
	s     *state
	ended atomic.Bool
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		c.end()
	}
	return n, err
}

// Received passes on whether all of the body has been received.
func (c *countedBody) Received() bool {
	body, ok := c.ReadCloser.(interface{ Received() bool })
	return ok && body.Received()
}

func (c *countedBody) Close() error {
	c.end()
	return c.ReadCloser.Close()
}

func (c *countedBody) end() {
	if !c.ended.Swap(true) {
		c.s.active.Add(-1)
	}
}

type countedConn struct {
	io.ReadWriteCloser
	s     *state
	ended atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.ended.Swap(true) {
		c.s.active.Add(-1)
	}
	return c.ReadWriteCloser.Close()
}

// CloseWrite passes on what the connection can do.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
