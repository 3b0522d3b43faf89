package conformance

import "time"

// shortTimeout is long enough for a handshake on a busy machine.
const shortTimeout = 3 * time.Second

// timeouts are the scenarios of servers that don't respond. The client is given 3
// seconds for each wait, and has to end by itself.
func timeouts() []Scenario {
	return []Scenario{
		{"silent-syn", "The server reads the SYN, and does nothing.", func(p *player) {
			p.timeout = shortTimeout
			p.syned().closed()
			p.exits(IOError)
		}},
		{"silent-ack", "The server reads the ACK, and does nothing.", func(p *player) {
			p.timeout = shortTimeout
			c := p.syned()
			c.write(c.synACK())
			c.ack()
			c.closed()
			p.exits(IOError)
		}},
		{"silent-message", "The server reads a message, and does nothing.", func(p *player) {
			p.timeout = shortTimeout
			p.asked().closed()
			p.exits(IOError)
		}},
		{"silent-rstor", "The server reads the MSG-RSTOR, and does nothing.", func(p *player) {
			p.begin().finishes()
			p.timeout = shortTimeout
			p.start()
			p.send(again)
			c := p.accept()
			c.rstor()
			c.closed()
			p.exits(IOError)
		}},
		{"dripping-syn-ack", "The SYN-ACK comes byte by byte, too slowly. The time is for all of it, not for each byte.", func(p *player) {
			p.timeout = shortTimeout
			c := p.syned()
			c.drip(c.synACK())
			p.exits(IOError)
		}},
		{"dripping-response", "The response comes byte by byte, too slowly.", func(p *player) {
			p.timeout = shortTimeout
			c := p.asked()
			c.drip(c.response(random(100_000)))
			p.exits(IOError)
		}},
	}
}
