package conformance

import (
	"encoding/binary"
	"errors"
	"os"
)

// messages are the scenarios of responses that are wrong, on a session that is
// right.
func messages() []Scenario {
	list := []Scenario{
		{"response-cut", "A response that ends one byte too early, and the connection with it.", func(p *player) {
			c := p.asked()
			r := c.response(again)
			c.write(r[:len(r)-1])
			c.hangUp()
			p.exits(IOError, ProtocolError)
		}},
		{"response-too-long", "The header of a response of 1 MiB and a byte. The client closes the connection, and waits for nothing more.", func(p *player) {
			p.responds(func(c *conn) []byte { return lengthened(c.response(again), maxMessage+1)[:msgHeadSize] }, ResponseTooLong, ProtocolError)
		}},
		{"response-length-wraps", "The header of a response of 4 GiB less a byte, which wraps when it is rounded up to a block.", func(p *player) {
			p.responds(func(c *conn) []byte { return lengthened(c.response(again), 0xFFFFFFFF)[:msgHeadSize] }, ResponseTooLong, ProtocolError)
		}},
		{"response-replayed", "The response to the first message again, in response to the second.", func(p *player) {
			p.start()
			p.send(hello)
			c := p.accept()
			c.handshake()
			c.wants(hello)
			r := c.response(hello)
			c.write(r)
			p.gets(hello)
			p.send(again)
			c.wants(again)
			c.write(r)
			c.refused(ProtocolError)
		}},
		{"message-reflected", "The client's own message comes back. Its MAC is right, as both sides have the same key.", func(p *player) {
			p.responds(func(c *conn) []byte { return c.packet }, ProtocolError)
		}},
		{"older-message-reflected", "The client's first message comes back in response to the second.", func(p *player) {
			p.start()
			p.send(hello)
			c := p.accept()
			c.handshake()
			c.echoAs(hello, again)
			first := c.packet
			p.gets(again)
			p.send(again)
			c.wants(again)
			c.write(first)
			c.refused(ProtocolError)
		}},
		{"response-of-another-session", "A response under another session's key.", func(p *player) {
			p.responds(func(c *conn) []byte { return message(typeMSG, random(32), c.token, again) }, ProtocolError)
		}},
		{"two-responses", "Two responses to one message. The second must never be taken for that to the next message.", func(p *player) {
			c := p.asked()
			c.write(append(c.response(hello), c.response([]byte("nobody wants this"))...))
			if response, err := p.response(); err != nil {
				p.exits(ProtocolError, IOError)
				return
			} else if string(response) != string(hello) {
				p.failf("the client returned %q, want %q", response, hello)
			}
			p.send(again)
			p.unasked(c, again)
		}},
		{"unasked-response", "A response before there is a message.", func(p *player) {
			p.start()
			p.send(hello)
			c := p.accept()
			c.hello()
			c.write(c.synACK())
			c.ack()
			c.write(append(header(typeACKACK), c.response([]byte("nobody wants this"))...))
			p.unasked(c, hello)
		}},
		{"response-bare", "A response of 10 bytes of header, then nothing; the connection closes.", func(p *player) {
			c := p.asked()
			c.write(c.response(again)[:10])
			c.hangUp()
			p.exits(IOError, ProtocolError)
		}},
	}
	for _, at := range []struct {
		name, about string
		i           int
	}{
		{"mac", "MAC", 26}, {"mac-end", "last byte of the MAC", 57}, {"iv", "IV", 58}, {"ciphertext", "ciphertext", 74}, {"end", "last byte", 89},
		{"magic", "magic", 3},
	} {
		list = append(list, Scenario{"response-" + at.name, "A response with a bit changed: " + at.about + ".", func(p *player) {
			p.responds(func(c *conn) []byte { return flipped(c.response(again), at.i) }, ProtocolError)
		}})
	}
	for _, other := range []struct {
		name string
		typ  byte
	}{{"syn-ack", typeSYNACK}, {"rstor-ack", typeRSTORACK}, {"req-rehs", typeREQREHS}, {"ack-ack", typeACKACK}, {"msg-err", 0xE4}} {
		list = append(list, Scenario{"response-type-" + other.name, "A right response, but for its type.", func(p *player) {
			p.responds(func(c *conn) []byte { return edited(c.response(again), 5, other.typ) }, ProtocolError)
		}}, Scenario{"response-head-" + other.name, "Six bytes with another type in the place of a response. The client waits for no more.", func(p *player) {
			p.responds(func(c *conn) []byte { return header(other.typ) }, ProtocolError)
		}})
	}
	return list
}

// lengthened returns a packet with another length.
func lengthened(p []byte, n uint32) []byte {
	return edited(p, 6, binary.BigEndian.AppendUint32(nil, n)...)
}

// echoAs receives one text and responds with another.
func (c *conn) echoAs(text, response []byte) {
	c.wants(text)
	p := c.packet
	c.write(c.response(response))
	c.packet = p
}

// asked begins a session, and receives a second message.
func (p *player) asked() *conn {
	c := p.begin()
	p.send(again)
	c.wants(again)
	return c
}

// responds sends a wrong response. The client closes the connection, and ends with
// one of the codes.
func (p *player) responds(response func(c *conn) []byte, codes ...Code) {
	c := p.asked()
	c.write(response(c))
	c.refused(codes...)
}

// refused waits until the client has refused a response: it closes the connection,
// and ends with one of the codes.
func (c *conn) refused(codes ...Code) {
	if response, err := c.player.response(); err == nil {
		c.failf("the client took that for a response, and returned %d bytes", len(response))
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.failf("the client still waited for a response after %s", c.patience)
	}
	c.closed()
	c.exits(codes...)
}

// unasked has sent more than was due on a connection. The client may fail, or
// find that before its next message, and send that over another connection.
func (p *player) unasked(c *conn, text []byte) {
	next := p.acceptOrEnd(c)
	if next == nil {
		p.exits(ProtocolError, IOError)
		return
	}
	next.begin()
	next.echo(text)
	p.gets(text)
	next.finishes()
}
