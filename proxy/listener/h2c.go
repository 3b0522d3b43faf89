package listener

import (
	"context"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"mkd/config"
)

// cleartextListener serves HTTP/1 and HTTP/2 without TLS. A client of HTTP/2 has to
// know that the listener speaks it, and begins with its preface (RFC 9113, section 3.3).
type cleartextListener struct{ *httpsListener }

func newCleartext(l *config.Listener, d *Daemon, sh *shared) server {
	c := &cleartextListener{newBothVersions(newWeb(l.Name, &l.HTTP.Web, d, sh), d)}
	c.http2.Protocols = new(http.Protocols)
	c.http2.Protocols.SetUnencryptedHTTP2(true)
	return c
}

// preface is how the first bytes of an HTTP/2 connection differ from those of an
// HTTP/1 request: there is no method PRI.
const preface = "PRI "

// serve implements server.
func (l *cleartextListener) serve(c net.Conn, done func()) (handedOver bool) {
	first, err := l.first(c)
	if err != nil {
		c.Close()
		return false
	}
	c = &begunConn{c.(socket), first}
	if string(first) == preface {
		return l.giveHTTP2(c, done)
	}
	l.http1.ServeConn(c)
	return false
}

// first reads the first bytes of a connection, up to one that isn't the preface's.
func (l *cleartextListener) first(c net.Conn) ([]byte, error) {
	l.handshakes.Add(1)
	defer l.handshakes.Done()
	stop := context.AfterFunc(l.stopping, func() { c.Close() })
	defer stop()
	c.SetReadDeadline(time.Now().Add(l.cfg.HeaderTimeout))
	var buf [len(preface)]byte
	n := 0
	for n < len(buf) && string(buf[:n]) == preface[:n] {
		more, err := c.Read(buf[n:])
		if n += more; err != nil {
			return nil, err
		}
	}
	return buf[:n:n], c.SetReadDeadline(time.Time{})
}

// socket is a connection as package listen accepts it.
type socket interface {
	net.Conn
	syscall.Conn
	io.ReaderFrom
	CloseWrite() error
}

// begunConn is a connection of which some bytes have been read. It has the other methods of
// its socket, too: to end the stream to the client, to send files, and to watch for the
// client's end of it.
type begunConn struct {
	socket
	first []byte
}

func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.socket.Read(p)
}
