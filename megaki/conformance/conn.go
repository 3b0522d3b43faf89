package conformance

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// conn is a connection of the client, seen from the scripted server. Its methods
// end the scenario if the client does anything but what they expect.
type conn struct {
	*player
	conn net.Conn
	buf  []byte // received, not yet used

	syn    *synContent
	inner  []byte // of the SYN-ACK: token, server_symmetric
	token  []byte
	key    []byte // the master key
	packet []byte // the last that was received
}

// next returns the next packet, nil if the client closes the connection.
func (c *conn) next() []byte {
	c.conn.SetReadDeadline(time.Now().Add(c.patience))
	for {
		size, err := packetSize(c.buf)
		if err != nil {
			c.failf("the client sent a packet that a server must refuse: %v", err)
		}
		if size > 0 && len(c.buf) >= size {
			c.packet, c.buf = c.buf[:size:size], c.buf[size:]
			if len(c.buf) > 0 {
				c.failf("the client sent %d bytes after a %s, before the server's turn was over", len(c.buf), typeNames[c.packet[5]])
			}
			return c.packet
		}
		part := make([]byte, 64<<10)
		n, err := c.conn.Read(part)
		c.buf = append(c.buf, part[:n]...)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			c.failf("nothing came from the client within %s, and it kept the connection open", c.patience)
		case err != nil && len(c.buf) > 0 && n == 0:
			c.failf("the client closed the connection after %d bytes of a packet", len(c.buf))
		case err != nil && n == 0:
			return nil
		}
	}
}

// hasSent reports whether bytes of the client have arrived.
func (c *conn) hasSent() bool {
	c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	part := make([]byte, 1024)
	n, _ := c.conn.Read(part)
	c.buf = append(c.buf, part[:n]...)
	return len(c.buf) > 0
}

// read reads a packet of a type, and returns it.
func (c *conn) read(typ byte) []byte {
	p := c.next()
	if p == nil {
		c.failf("the client closed the connection, where its %s was due", typeNames[typ])
	}
	if p[5] != typ {
		c.failf("the client sent a %s, where its %s was due", typeNames[p[5]], typeNames[typ])
	}
	return p
}

// closed waits until the client closes the connection. It must send nothing
// before.
func (c *conn) closed() {
	if p := c.next(); p != nil {
		c.failf("the client sent a %s, where it had to close the connection", typeNames[p[5]])
	}
}

// write sends bytes to the client. The client may have closed the connection.
func (c *conn) write(p []byte) {
	c.conn.SetWriteDeadline(time.Now().Add(c.patience))
	c.conn.Write(p)
}

// writeSlowly sends bytes one by one, as TCP may deliver them.
func (c *conn) writeSlowly(p []byte) {
	for i := range p {
		c.write(p[i : i+1])
	}
}

// hangUp closes the connection, as an idle one or after a failure. The client's
// system knows it when hangUp returns: on a busy machine the end of a connection
// can arrive some time after the close, and a client that sends a message
// meanwhile has done nothing wrong.
func (c *conn) hangUp() {
	if tcp, ok := c.conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		waitForEnd(tcp)
	}
	c.conn.Close()
}

// hello reads a SYN, and chooses token and server_symmetric.
func (c *conn) hello() {
	p := c.read(typeSYN)
	var err error
	if c.syn, err = openSYN(c.serverKey, p); err != nil {
		c.failf("SYN: %v", err)
	}
	c.sees("the ephemeral key", c.syn.ephemeral)
	c.sees("an RSA block of a SYN", p[38:294])
	c.inner = random(48)
	c.token = c.inner[:16]
}

// synACK returns the right SYN-ACK.
func (c *conn) synACK() []byte { return c.synACKOf(c.token, c.inner) }

// synACKOf returns a SYN-ACK with the token outside, and 48 bytes inside.
func (c *conn) synACKOf(token, inner []byte) []byte {
	p, err := synACK(c.syn, token, inner)
	if err != nil {
		c.failf("encrypting to the client's key: %v", err)
	}
	return p
}

// ack reads the ACK. Then the session exists.
func (c *conn) ack() {
	half, err := openACK(c.read(typeACK), c.syn.ephemeral, c.token, c.inner[16:])
	if err != nil {
		c.failf("ACK: %v", err)
	}
	c.sees("client_symmetric", half)
	c.key = derive(c.inner[16:], half)
	c.keys[string(c.token)] = [][]byte{c.key}
}

// handshake does a whole handshake.
func (c *conn) handshake() {
	c.hello()
	c.write(c.synACK())
	c.ack()
	c.write(header(typeACKACK))
}

// rstor reads a MSG-RSTOR under a key of the session, and returns the key of the
// response, mid.
func (c *conn) rstor() (mid []byte) {
	p := c.read(typeRSTOR)
	c.token = bytes.Clone(p[10:26])
	keys, known := c.keys[string(c.token)]
	if !known {
		c.failf("the client resumes the token %x, which it never had", c.token)
	}
	for _, key := range keys {
		if augment, _, err := openMessage(key, p); err == nil {
			c.sees("the client's augment", augment)
			c.sees("the IV of a MSG-RSTOR", p[58:74])
			return derive(key, augment)
		}
	}
	c.failf("the MSG-RSTOR isn't under the session's last key")
	return nil
}

// rstorACK sends a MSG-RSTOR-ACK. The client's first message ends the older keys.
func (c *conn) rstorACK(mid []byte) {
	augment := random(32)
	c.key = derive(mid, augment)
	c.keys[string(c.token)] = append(c.keys[string(c.token)], c.key)
	c.write(message(typeRSTORACK, mid, c.token, augment))
}

// resume resumes the session.
func (c *conn) resume() { c.rstorACK(c.rstor()) }

// begin does whatever the client begins with.
func (c *conn) begin() {
	first := c.peek()
	if first != nil && first[5] == typeRSTOR {
		c.resume()
		return
	}
	c.handshake()
}

// peek waits for the first bytes of a packet, and leaves them where they are. It
// returns nil if the client closes the connection.
func (c *conn) peek() []byte {
	p := c.next()
	if p != nil {
		c.buf = append(bytes.Clone(p), c.buf...)
	}
	return p
}

// receive reads a message, and checks what doesn't depend on its text.
func (c *conn) receive() []byte {
	p := c.read(typeMSG)
	plain, padding, err := openMessage(c.key, p)
	if err != nil {
		c.failf("MSG: %v", err)
	}
	if !bytes.Equal(p[10:26], c.token) {
		c.failf("the message carries the token %x, its session has %x", p[10:26], c.token)
	}
	c.sees("the IV of a message", p[58:74])
	if len(padding) >= 8 {
		c.sees("the padding of a message, which has to be random,", padding)
	}
	c.keys[string(c.token)] = [][]byte{c.key}
	return plain
}

// wants reads a message, which must be this one.
func (c *conn) wants(text []byte) {
	if got := c.receive(); !bytes.Equal(got, text) {
		c.failf("the message has %d bytes, want %d, or other bytes", len(got), len(text))
	}
}

// response returns a response.
func (c *conn) response(text []byte) []byte { return message(typeMSG, c.key, c.token, text) }

// echo receives a message, and responds with the same text.
func (c *conn) echo(text []byte) {
	c.wants(text)
	c.write(c.response(text))
}

// flipped returns a packet with a bit changed in the byte at i.
func flipped(p []byte, i int) []byte {
	p = bytes.Clone(p)
	p[i] ^= 0x10
	return p
}

// drip sends the beginning of a packet, one byte in a while, until the client
// closes the connection. It must do that within the patience.
func (c *conn) drip(p []byte) {
	closed := make(chan bool, 1)
	go func() {
		c.conn.SetReadDeadline(time.Now().Add(c.patience))
		n, err := io.Copy(io.Discard, c.conn)
		closed <- n == 0 && err == nil || errors.Is(err, net.ErrClosed) || isReset(err)
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, b := range slices.Concat(p, make([]byte, 1<<20)) {
		select {
		case good := <-closed:
			if !good {
				c.failf("the client kept the connection open for %s, or sent more", c.patience)
			}
			return
		case <-tick.C:
			c.write([]byte{b})
		}
	}
}

// isReset reports whether the peer closed the connection with unread bytes.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}
