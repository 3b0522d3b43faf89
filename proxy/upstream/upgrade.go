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

	"mkd/httpfield"
	"mkd/proxy/roundtrip"
)

// checkSwitch checks that a change of protocol was asked for, and to the one that
// the server names (RFC 9110, section 7.8).
func (rt *roundTrip) checkSwitch() error {
	if !rt.asks {
		return fmt.Errorf("%w: status 101, though no other protocol was asked for", roundtrip.ErrHeader)
	}
	for _, v := range rt.resp.Header["Upgrade"] {
		for name := range strings.SplitSeq(v, ",") {
			if !httpfield.HasItem(rt.r.Header["Upgrade"], strings.Trim(name, " \t")) {
				return fmt.Errorf("%w: status 101 to a protocol that wasn't asked for", roundtrip.ErrHeader)
			}
		}
	}
	if len(rt.resp.Header["Upgrade"]) == 0 || !httpfield.HasItem(rt.resp.Header["Connection"], "upgrade") {
		return fmt.Errorf("%w: status 101 without its fields", roundtrip.ErrHeader)
	}
	return nil
}

// upgrade hands the connection over to whoever asked for another protocol.
func (rt *roundTrip) upgrade() (*http.Response, error) {
	const op = "changing the protocol"
	if !rt.Joined(true) || rt.Forget() {
		return nil, rt.finish(op, fmt.Errorf("%w: status 101 before the request was complete", roundtrip.ErrHeader))
	}
	if err := rt.SendError(); err != nil {
		return nil, rt.finish(op, err)
	}
	if !rt.Detach() {
		return nil, rt.finish(op, roundtrip.ErrClosed)
	}
	c, resp := rt.conn, &rt.resp
	c.rt = nil
	c.Conn.SetDeadline(time.Time{})
	u := &upgraded{rt: rt, conn: c}
	if n := rt.br.Buffered(); n > 0 {
		p, _ := rt.br.Peek(n)
		u.early = bytes.Clone(p)
	}
	rt.t.buffers.PutReader(rt.br)
	rt.t.buffers.Put(rt.head)
	rt.finished, rt.br, rt.head = true, nil, nil
	resp.ContentLength = -1
	resp.Body = u
	return resp, nil
}

// upgraded is a connection that speaks another protocol. It is an
// io.ReadWriteCloser, and has a CloseWrite.
type upgraded struct {
	rt    *roundTrip
	conn  *conn
	early []byte // came together with the head of the response
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

// CloseWrite shows the server that nothing more comes.
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
		u.rt.t.release(u.rt.share)
		u.rt.t.active.Add(-1)
	})
	return nil
}

func (u *upgraded) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return u.rt.failAfter(op, err)
}
