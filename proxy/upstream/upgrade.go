package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// checkSwitch checks that a change of protocol was asked for, and to the one that
// the server names (RFC 9110, section 7.8).
func (x *exchange) checkSwitch() error {
	if !x.asks {
		return fmt.Errorf("%w: status 101, though no other protocol was asked for", ErrHeader)
	}
	for _, v := range x.resp.Header["Upgrade"] {
		for name := range strings.SplitSeq(v, ",") {
			if !hasToken(x.r.Header["Upgrade"], strings.Trim(name, " \t")) {
				return fmt.Errorf("%w: status 101 to a protocol that wasn't asked for", ErrHeader)
			}
		}
	}
	if len(x.resp.Header["Upgrade"]) == 0 || !hasToken(x.resp.Header["Connection"], "upgrade") {
		return fmt.Errorf("%w: status 101 without its fields", ErrHeader)
	}
	return nil
}

// upgrade hands the connection over to whoever asked for another protocol.
func (x *exchange) upgrade() (*http.Response, error) {
	const op = "changing the protocol"
	if x.done != nil && !x.joined(true) || x.expecting {
		return nil, x.finish(op, fmt.Errorf("%w: status 101 before the request was whole", ErrHeader))
	}
	if x.err != nil {
		return nil, x.finish(op, x.err)
	}
	if x.unwatch != nil {
		x.unwatch()
	}
	x.mu.Lock()
	x.over = x.aborted == nil
	over := x.over
	x.mu.Unlock()
	if !over {
		return nil, x.finish(op, x.aborted)
	}
	c, resp := x.conn, &x.resp
	c.x = nil
	c.Conn.SetDeadline(time.Time{})
	u := &upgraded{x: x, conn: c}
	if n := x.br.Buffered(); n > 0 {
		p, _ := x.br.Peek(n)
		u.early = bytes.Clone(p)
	}
	x.t.putReader(x.br)
	x.t.putBuffer(x.head)
	x.finished, x.br, x.head = true, nil, nil
	resp.ContentLength = -1
	resp.Body = u
	return resp, nil
}

// upgraded is a connection that speaks another protocol. It is an
// io.ReadWriteCloser, and CloseWrite is there for those who look for it.
type upgraded struct {
	x     *exchange
	conn  *conn
	early []byte // came together with the answer's head
	once  sync.Once
}

func (u *upgraded) Read(p []byte) (int, error) {
	if len(u.early) > 0 {
		n := copy(p, u.early)
		u.early = u.early[n:]
		return n, nil
	}
	n, err := u.conn.stream.Read(p)
	return n, u.fail("reading", err)
}

func (u *upgraded) Write(p []byte) (int, error) {
	n, err := u.conn.stream.Write(p)
	return n, u.fail("writing", err)
}

// CloseWrite tells the server that nothing more comes.
func (u *upgraded) CloseWrite() error {
	half, ok := u.conn.stream.(interface{ CloseWrite() error })
	if u.conn.tls == nil {
		half, ok = u.conn.Conn.(interface{ CloseWrite() error })
	}
	if !ok {
		return u.fail("closing", errors.ErrUnsupported)
	}
	return u.fail("closing", half.CloseWrite())
}

// Close closes the connection.
func (u *upgraded) Close() error {
	u.once.Do(func() {
		u.conn.Conn.Close()
		if u.x.acquired {
			u.x.t.release()
		}
		u.x.t.active.Add(-1)
	})
	return nil
}

func (u *upgraded) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &Error{Op: op, Address: u.x.t.Address, Sent: true, Answered: true, Reused: u.x.reused, Err: err}
}
