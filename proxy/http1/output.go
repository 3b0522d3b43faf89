package http1

import (
	"net"
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
	armed time.Time // when the write deadline was set
	buf   []byte    // what is written next; nil between responses
	body  []byte    // gathered, while the framing of the body is open; shares its array with none
	err   error     // of a write: nothing more can be sent
}

var buffers = sync.Pool{New: func() any { return new([joinSize + gatherSize]byte) }}

func (o *output) init(c *conn) { o.conn, o.limit = c.net, c.server.writeTimeout() }

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
	o.arm()
	_, o.err = o.conn.Write(o.buf)
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
	o.arm()
	_, o.err = o.conn.Write(p)
	return o.err
}
