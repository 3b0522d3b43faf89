package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
)

// SwitchProtocols sends a 101 response with the header, which must say which
// protocol, and hands the connection over. The reader has what the client sent
// already and what comes. The connection has no deadlines, and is closed when
// the handler returns.
func (w *Response) SwitchProtocols() (net.Conn, io.Reader, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 {
		return nil, nil, errors.New("http1: the response has begun")
	}
	c := w.conn
	if !c.body.atEnd() {
		return nil, nil, errors.New("http1: the request's body has not ended")
	}
	w.status, w.headSent, w.finished, w.close = http.StatusSwitchingProtocols, true, true, true
	h := w.header.Fields()
	if w.change != nil {
		w.change(h)
	}
	c.switched = true
	out := &c.out
	out.begin()
	defer out.release()
	out.buf = appendStatusLine(out.buf, w.status)
	for name, values := range h {
		if name == "Connection" || name == "Upgrade" || !isFraming(name) {
			out.buf = appendField(out.buf, name, values)
		}
	}
	if h["Date"] == nil {
		out.buf = append(out.buf, date()...)
	}
	out.buf = append(out.buf, "\r\n"...)
	if err := out.flush(); err != nil {
		return nil, nil, err
	}
	c.ctx.switchProtocols()
	c.net.SetDeadline(noDeadline)
	early := io.LimitReader(c.br, int64(c.br.Buffered()))
	return &switchedConn{c.net, w}, io.MultiReader(early, c.net), nil
}

// switchedConn is a connection in another protocol. What is written counts as
// the response's body.
type switchedConn struct {
	net.Conn
	w *Response
}

func (c *switchedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.w.size += int64(n)
	return n, err
}

// CloseWrite ends the stream to the client.
func (c *switchedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
