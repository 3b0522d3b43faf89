package conformance

// resumptions are the scenarios of clients that are started again with the
// session that they saved.
func resumptions() []Scenario {
	return []Scenario{
		{"resume", "The client is started four times. It resumes the session each time, with the key of the last.", func(p *player) {
			p.begin().finishes()
			for range 3 {
				p.resumes().finishes()
			}
		}},
		{"resume-refused", "REQ-REHS: the server has forgotten the session. The client does a handshake, on the same connection or another, and saves the new session.", func(p *player) {
			p.begin().finishes()
			p.start()
			p.send(again)
			c := p.accept().refuses()
			c.echo(again)
			p.gets(again)
			c.finishes()
			p.resumes().finishes()
		}},
		{"resume-byte-by-byte", "The MSG-RSTOR-ACK arrives in pieces of one byte.", func(p *player) {
			p.begin().finishes()
			p.start()
			p.send(again)
			c := p.accept()
			mid := c.rstor()
			augment := random(32)
			c.key = derive(mid, augment)
			c.writeSlowly(message(typeRSTORACK, mid, c.token, augment))
			c.echo(again)
			p.gets(again)
			c.finishes()
		}},
		{"resume-lost", "The MSG-RSTOR-ACK gets lost. The client may try again or fail; later it resumes with the key that it has.", func(p *player) {
			p.begin().finishes()
			p.start()
			p.send(again)
			c := p.accept()
			c.rstor()
			c.hangUp()
			if c = p.acceptOrEnd(); c != nil {
				c.resume()
				c.echo(again)
				p.gets(again)
				c.finishes()
				return
			}
			p.exits(IOError, ProtocolError)
			p.resumes().finishes()
		}},
		{"resume-refused-twice", "REQ-REHS again, in response to the SYN.", func(p *player) {
			p.begin().finishes()
			p.start()
			p.send(again)
			c := p.accept()
			c.rstor()
			c.write(header(typeREQREHS))
			if c.peek() == nil {
				c = p.accept()
			}
			c.hello()
			c.write(header(typeREQREHS))
			c.closed()
			p.exits(ProtocolError)
		}},
		{"rstor-ack-mac", "A MSG-RSTOR-ACK with a wrong MAC. The session that the client has stays as it is.", func(p *player) {
			p.badRSTORACK(func(c *conn, mid []byte) []byte {
				return flipped(message(typeRSTORACK, mid, c.token, random(32)), 26)
			})
		}},
		{"rstor-ack-old-key", "A MSG-RSTOR-ACK under the old master key, as who recorded it could make none but this: of older packets.", func(p *player) {
			p.badRSTORACK(func(c *conn, _ []byte) []byte {
				return message(typeRSTORACK, c.keys[string(c.token)][0], c.token, random(32))
			})
		}},
		{"rstor-reflected", "The client's own MSG-RSTOR comes back, as a MSG-RSTOR-ACK.", func(p *player) {
			p.badRSTORACK(func(c *conn, _ []byte) []byte { return edited(c.packet, 5, typeRSTORACK) })
		}},
		{"rstor-ack-type", "A right MSG-RSTOR-ACK, but for its type: MSG.", func(p *player) {
			p.badRSTORACK(func(c *conn, mid []byte) []byte {
				return edited(message(typeRSTORACK, mid, c.token, random(32)), 5, typeMSG)
			})
		}},
		{"rstor-ack-length", "A MSG-RSTOR-ACK with a length of 31. It always is 32.", func(p *player) {
			p.badRSTORACK(func(c *conn, mid []byte) []byte {
				return message(typeRSTORACK, mid, c.token, random(31))
			})
		}},
		{"rstor-not-megaki", "The server speaks HTTP when the client comes back.", func(p *player) {
			p.badRSTORACK(func(*conn, []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") })
		}},
		{"rstor-ack-replayed", "The MSG-RSTOR-ACK of the resumption before.", func(p *player) {
			p.begin().finishes()
			p.start()
			p.send(again)
			c := p.accept()
			mid, augment := c.rstor(), random(32)
			recorded := message(typeRSTORACK, mid, c.token, augment)
			c.write(recorded)
			c.key = derive(mid, augment)
			c.echo(again)
			p.gets(again)
			c.finishes()
			p.badRestart(func(*conn, []byte) []byte { return recorded })
		}},
	}
}

// badRSTORACK begins a session, and plays badRestart.
func (p *player) badRSTORACK(response func(c *conn, mid []byte) []byte) {
	p.begin().finishes()
	p.badRestart(response)
}

// badRestart starts the client again, and sends a wrong response to its
// MSG-RSTOR. The client closes the connection and fails. Afterwards its session is
// as it was.
func (p *player) badRestart(response func(c *conn, mid []byte) []byte) {
	p.start()
	p.send(again)
	c := p.accept()
	c.write(response(c, c.rstor()))
	c.closed()
	p.exits(ProtocolError)
	p.resumes().finishes()
}
