package conformance

import (
	"fmt"
	"time"
)

var (
	hello = []byte("hello")
	again = []byte("hello again")
)

// sessions are the scenarios in which the server does everything right.
func sessions() []Scenario {
	return []Scenario{
		{"handshake", "A handshake, a message, its response.", func(p *player) {
			p.begin().finishes()
		}},
		{"fresh-secrets", "Two handshakes. What has to be random differs.", func(p *player) {
			for range 2 {
				p.forget()
				p.begin().finishes()
			}
		}},
		{"sizes", "Messages and responses of all sizes around a block, and up to 1 MiB.", func(p *player) {
			c := p.begin()
			for _, n := range []int{1, 2, 15, 16, 17, 31, 32, 33, 4016, 4017, 65536, maxMessage - 1, maxMessage} {
				text := random(n)
				p.send(text)
				c.echo(text)
				p.gets(text)
			}
			c.finishes()
		}},
		{"empty-response", "A response of no bytes.", func(p *player) {
			c := p.begin()
			p.send(hello)
			c.wants(hello)
			c.write(c.response(nil))
			p.gets(nil)
			c.finishes()
		}},
		{"binary", "A message with every byte, and one of zeros.", func(p *player) {
			c := p.begin()
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			for _, text := range [][]byte{all, make([]byte, 100)} {
				p.send(text)
				c.echo(text)
				p.gets(text)
			}
			c.finishes()
		}},
		{"many-messages", "300 messages with the same text. No IV comes twice, and the padding is random.", func(p *player) {
			c := p.begin()
			for range 300 {
				p.send(hello)
				c.echo(hello)
				p.gets(hello)
			}
			c.finishes()
		}},
		{"byte-by-byte", "The server's packets arrive in pieces of one byte.", func(p *player) {
			p.start()
			p.send(hello)
			c := p.accept()
			c.hello()
			c.writeSlowly(c.synACK())
			c.ack()
			c.writeSlowly(header(typeACKACK))
			c.wants(hello)
			c.writeSlowly(c.response(again))
			p.gets(again)
			c.finishes()
		}},
		{"slow-response", "A response that takes half a second, of a client with more time.", func(p *player) {
			c := p.begin()
			p.send(hello)
			c.wants(hello)
			time.Sleep(500 * time.Millisecond)
			c.write(c.response(hello))
			p.gets(hello)
			c.finishes()
		}},
		{"closed-while-idle", "The server closes the idle connection. The next message goes over another, which resumes the session.", func(p *player) {
			c := p.begin()
			c.hangUp()
			p.send(again)
			c = p.accept()
			c.resume()
			c.echo(again)
			p.gets(again)
			c.finishes()
		}},
		{"restarted-while-idle", "The server closes the idle connection, and has forgotten the session when the client comes back.", func(p *player) {
			c := p.begin()
			c.hangUp()
			p.send(again)
			c = p.accept().refuses()
			c.echo(again)
			p.gets(again)
			c.finishes()
		}},
		{"message-too-long", "A message of 1 MiB and a byte. The client sends nothing of it.", func(p *player) {
			c := p.begin()
			p.send(random(maxMessage + 1))
			c.closed()
			p.exits(MessageTooLong)
		}},
		{"message-lost", "The server closes the connection after a message. The client reports it, and never sends the message again: the server may have handled it.", func(p *player) {
			c := p.begin()
			p.send(again)
			c.wants(again)
			c.hangUp()
			for {
				next := p.acceptOrEnd()
				if next == nil {
					break
				}
				next.begin()
				if packet := next.next(); packet != nil {
					p.failf("the client sent the message again, on another connection")
				}
			}
			p.exits(IOError)
		}},
		{"message-after-loss", "After a message that was lost, the client is started again, and resumes the session.", func(p *player) {
			c := p.begin()
			p.send(again)
			c.wants(again)
			c.hangUp()
			p.exits(IOError)
			p.resumes().finishes()
		}},
	}
}

// begin starts the client, does a handshake, and a first message.
func (p *player) begin() *conn {
	p.start()
	p.send(hello)
	c := p.accept()
	c.handshake()
	c.echo(hello)
	p.gets(hello)
	return c
}

// resumes starts the client, resumes its session, and does a message.
func (p *player) resumes() *conn {
	p.start()
	text := fmt.Appendf(nil, "resumed %x", random(4))
	p.send(text)
	c := p.accept()
	c.resume()
	c.echo(text)
	p.gets(text)
	return c
}

// refuses reads a MSG-RSTOR, asks for a handshake, and does it: on the same
// connection, or on the next if the client closes this one.
func (c *conn) refuses() *conn {
	c.rstor()
	delete(c.keys, string(c.token))
	c.write(header(typeREQREHS))
	if c.peek() == nil {
		c = c.accept()
	}
	c.handshake()
	return c
}

// finishes ends the client's input. The client closes the connection, and ends.
func (c *conn) finishes() {
	c.run.in.Close()
	c.closed()
	c.exits(Success)
}
