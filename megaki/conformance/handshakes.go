package conformance

import (
	"bytes"
	"slices"
)

// handshakes are the scenarios of handshakes that fail. The client sends nothing
// after what is wrong.
func handshakes() []Scenario {
	list := []Scenario{
		{"not-megaki", "The server speaks HTTP.", func(p *player) {
			p.syn(func(*conn) []byte { return []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") }, ProtocolError)
		}},
		{"syn-closed", "The server closes the connection after the SYN, as mkd does where the pinned key isn't its own.", func(p *player) {
			p.synThenClose(0)
		}},
		{"syn-ack-cut", "A SYN-ACK that ends one byte too early, and the connection with it.", func(p *player) {
			p.synThenClose(309)
		}},
		{"syn-ack-mac", "A SYN-ACK with a wrong MAC: the server doesn't have the private key of the pinned one.", func(p *player) {
			p.syn(func(c *conn) []byte { return flipped(c.synACK(), 6) }, ProtocolError)
		}},
		{"syn-ack-changed", "A SYN-ACK whose RSA block was changed.", func(p *player) {
			p.syn(func(c *conn) []byte { return flipped(c.synACK(), 309) }, ProtocolError)
		}},
		{"syn-ack-key", "A SYN-ACK with a right MAC, encrypted to another key.", func(p *player) {
			p.syn(func(c *conn) []byte {
				c.syn.clientKey = &p.serverKey.PublicKey
				return c.synACK()
			}, ProtocolError)
		}},
		{"syn-ack-short", "A SYN-ACK with a right MAC, whose RSA block has 47 bytes.", func(p *player) {
			p.syn(func(c *conn) []byte { return c.synACKOf(c.token, c.inner[:47]) }, ProtocolError)
		}},
		{"syn-ack-tokens", "A SYN-ACK with one token outside and another inside.", func(p *player) {
			p.syn(func(c *conn) []byte { return c.synACKOf(random(16), c.inner) }, ProtocolError)
		}},
		{"syn-ack-magic", "A SYN-ACK with a wrong magic.", func(p *player) {
			p.syn(func(c *conn) []byte { return flipped(c.synACK(), 4) }, ProtocolError)
		}},
		{"syn-ack-type", "A packet of the size of a SYN-ACK with the type of an ACK-ACK.", func(p *player) {
			p.syn(func(c *conn) []byte { return edited(c.synACK(), 5, typeACKACK) }, ProtocolError)
		}},
		{"syn-reflected", "The client's own SYN comes back.", func(p *player) {
			p.syn(func(c *conn) []byte { return c.packet }, ProtocolError)
		}},
		{"syn-req-rehs", "REQ-REHS in response to a SYN, which only a MSG-RSTOR can get. The client must not begin again and again.", func(p *player) {
			p.syn(func(*conn) []byte { return header(typeREQREHS) }, ProtocolError)
		}},
		{"ack-ack-type", "REQ-REHS where the ACK-ACK is due.", func(p *player) {
			c := p.syned()
			c.write(c.synACK())
			c.ack()
			c.write(header(typeREQREHS))
			c.closed()
			p.exits(ProtocolError)
		}},
		{"ack-ack-magic", "An ACK-ACK with a wrong magic.", func(p *player) {
			c := p.syned()
			c.write(c.synACK())
			c.ack()
			c.write(flipped(header(typeACKACK), 0))
			c.closed()
			p.exits(ProtocolError)
		}},
		{"ack-closed", "The server closes the connection after the ACK.", func(p *player) {
			c := p.syned()
			c.write(c.synACK())
			c.ack()
			c.hangUp()
			p.exits(IOError, ProtocolError)
		}},
	}
	for _, code := range []struct {
		name  string
		about string
		code  []byte
		exit  Code
	}{
		{"version", "another version of the protocol", []byte{0x01}, OtherVersion},
		{"unavailable", "the service isn't available", []byte{0x02}, Unavailable},
		{"blacklisted", "the server's key must not be used any more", []byte{0x03, 0xFF}, Blacklisted},
		{"unknown", "a code that doesn't exist yet", []byte{0x42, 0x17}, UnknownRefusal},
	} {
		padded := append(bytes.Clone(code.code), make([]byte, 32-len(code.code))...)
		mark := bytes.Repeat([]byte{0xEE}, 16)
		for _, form := range []struct {
			name, about  string
			outer, inner []byte
		}{
			{"outer", "EE×16 outside, the code in the place of the token", mark, slices.Concat(padded[:16], random(32))},
			{"inner", "EE×16 inside, then the code, as the reference server does", random(16), slices.Concat(mark, padded)},
			{"both", "EE×16 outside, the code in both places, as mkd does", mark, slices.Concat(padded[:16], padded)},
		} {
			list = append(list, Scenario{"refused-" + code.name + "-" + form.name,
				"An error SYN-ACK: " + code.about + "; " + form.about + ". The client sends no ACK.",
				func(p *player) {
					p.syn(func(c *conn) []byte { return c.synACKOf(form.outer, form.inner) }, code.exit)
				}})
		}
	}
	return append(list, Scenario{"refused-forged", "An error SYN-ACK with a wrong MAC: nothing in it counts.", func(p *player) {
		p.syn(func(c *conn) []byte {
			return flipped(c.synACKOf(bytes.Repeat([]byte{0xEE}, 16), slices.Concat([]byte{1}, make([]byte, 47))), 6)
		}, ProtocolError)
	}})
}

// edited returns a packet with other bytes at i.
func edited(p []byte, i int, bytes ...byte) []byte {
	p = slices.Clone(p)
	copy(p[i:], bytes)
	return p
}

// syned starts the client and reads its SYN.
func (p *player) syned() *conn {
	p.start()
	p.send(hello)
	c := p.accept()
	c.hello()
	return c
}

// syn sends a wrong response to a SYN. The client closes the connection, and ends
// with the code.
func (p *player) syn(response func(c *conn) []byte, code Code) {
	c := p.syned()
	c.write(response(c))
	c.closed()
	p.exits(code)
}

// synThenClose sends the beginning of a SYN-ACK, and closes the connection.
func (p *player) synThenClose(n int) {
	c := p.syned()
	c.write(c.synACK()[:n])
	c.hangUp()
	p.exits(IOError, ProtocolError)
}
