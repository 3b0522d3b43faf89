package http1

import (
	"crypto/tls"
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// Sizes of what is gathered before it is written, in bytes.
const (
	gatherSize = 4 << 10  // of a body whose length isn't known yet
	joinSize   = 16 << 10 // a larger piece is written by itself, without a copy
)

// output writes a response to the socket: small pieces together, large ones as
// they are.
type output struct {
	conn  net.Conn
	limit time.Duration
	piece int       // how many bytes are written within one deadline
	armed time.Time // when the write deadline was set
	buf   []byte    // what is written next; nil between responses
	body  []byte    // gathered, while the framing of the body is open; shares its array with none
	err   error     // of a write: nothing more can be sent
}

var buffers = sync.Pool{New: func() any { return new([joinSize + gatherSize]byte) }}

func (o *output) init(c *conn) {
	o.conn, o.limit, o.piece = c.net, c.server.writeTimeout(), math.MaxInt
	if _, ok := c.net.(*tls.Conn); ok {
		o.piece = tlsRecord // it can't go on after a deadline
	}
}

// tlsRecord is how many bytes a TLS record has at most.
const tlsRecord = 16 << 10

// begin takes the buffer for a response.
func (o *output) begin() {
	if o.buf == nil {
		o.buf = buffers.Get().(*[joinSize + gatherSize]byte)[:0]
	}
}

// release gives the buffer back.
func (o *output) release() {
	if cap(o.buf) == joinSize+gatherSize {
		buffers.Put((*[joinSize + gatherSize]byte)(o.buf[:joinSize+gatherSize]))
	}
	o.buf = nil
	if o.body = o.body[:0]; cap(o.body) > gatherSize {
		o.body = nil
	}
}

// scratch returns a buffer whose contents don't matter.
func (o *output) scratch() []byte {
	o.begin()
	return o.buf[:cap(o.buf)]
}

// arm moves the write deadline on, if it is worth it: the client has between
// limit and limit * 9/8 to take what is written next.
func (o *output) arm() {
	if now := time.Now(); now.Sub(o.armed) > o.limit/8 {
		o.armed = now
		o.conn.SetWriteDeadline(now.Add(o.limit + o.limit/8))
	}
}

// flush writes what is gathered.
func (o *output) flush() error {
	if o.err != nil || len(o.buf) == 0 {
		return o.err
	}
	o.put(o.buf)
	o.buf = o.buf[:0]
	return o.err
}

// write writes p after what is gathered, in one piece where that takes only a
// small copy.
func (o *output) write(p []byte) error {
	if len(p) <= cap(o.buf)-len(o.buf) {
		o.buf = append(o.buf, p...)
		return o.flush()
	}
	if err := o.flush(); err != nil {
		return err
	}
	o.put(p)
	return o.err
}

// put writes p to the socket. A client that takes a part of it in time gets more
// time for the rest.
func (o *output) put(p []byte) {
	for len(p) > 0 && o.err == nil {
		o.arm()
		n, err := o.conn.Write(p[:min(len(p), o.piece)])
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			o.armed, err = time.Time{}, nil
		}
		p, o.err = p[n:], err
	}
}
