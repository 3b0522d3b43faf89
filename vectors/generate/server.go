package main

import (
	"fmt"
	"slices"
)

// conversation builds the steps of a test of a server.
type conversation struct {
	*source
	steps []step
}

func (c *conversation) add(connection int, expect, comment string, packet, random, plain, key []byte) {
	c.steps = append(c.steps, step{Connection: connection, Expect: expect, Comment: comment, Packet: packet, Random: random, Plaintext: plain, Key: key})
}

// handshake does a whole handshake and returns the token and the master key.
func (c *conversation) handshake(connection int) (token, key []byte) {
	x := c.secrets()
	modulus, exponent := publicKey(&clientKey.PublicKey)
	random := slices.Concat(x.token, x.server)
	c.add(connection, "syn-ack", "", c.syn(synPlain(modulus, exponent, x.ephemeral, version)), random, nil, x.ephemeral)
	c.add(connection, "ack-ack", "", c.ack(x.ephemeral, x.server, x.token, slices.Concat(x.token, x.client)), nil, nil, nil)
	return x.token, x.master()
}

// message sends a message and returns its packet.
func (c *conversation) message(connection int, token, key []byte, size int) []byte {
	plain := c.draw(size)
	p := c.msg(typeMSG, key, token, plain)
	c.add(connection, "message", "", p, nil, plain, key)
	return p
}

// resume resumes a session and returns the new key.
func (c *conversation) resume(connection int, token, key []byte, comment string) (next []byte) {
	client, server := c.draw(32), c.draw(32)
	mid := derive(key, client)
	c.add(connection, "rstor-ack", comment, c.msg(typeRSTOR, key, token, client), server, nil, mid)
	return derive(mid, server)
}

// refuse sends a MSG-RSTOR that has to be refused.
func (c *conversation) refuse(connection int, token, key []byte, comment string) {
	c.add(connection, "req-rehs", comment, c.msg(typeRSTOR, key, token, c.draw(32)), nil, nil, nil)
}

// serverVectors are conversations with a server that keeps sessions.
func serverVectors() file {
	f := file{
		Description: "Conversations with a server that keeps sessions in memory. Each step sends a packet on a numbered connection, which it opens if need be; the server responds as expected.",
		Protocol:    version,
		Keys:        map[string]string{"server": serverPEM + "\n", "client": clientPEM + "\n"},
	}
	add := func(name, comment string, build func(c *conversation)) {
		c := &conversation{source: &source{seed: "server: " + name}}
		build(c)
		f.Tests = append(f.Tests, test{Name: name, Comment: comment, Operation: "server", Limit: 1 << 20, Steps: c.steps})
	}
	add("handshake and messages", "", func(c *conversation) {
		token, key := c.handshake(1)
		for _, n := range []int{1, 15, 16, 17, 4017} {
			c.message(1, token, key, n)
		}
	})
	add("resumption", "", func(c *conversation) {
		token, key := c.handshake(1)
		c.message(1, token, key, 10)
		for i := range 3 {
			key = c.resume(2+i, token, key, "")
			c.message(2+i, token, key, 10)
		}
	})
	add("an older connection goes on after its session was resumed", "", func(c *conversation) {
		token, key := c.handshake(1)
		next := c.resume(2, token, key, "")
		c.message(2, token, next, 10)
		c.message(1, token, key, 10)
		c.message(2, token, next, 10)
	})
	add("lost MSG-RSTOR-ACK", "A client that did not get the MSG-RSTOR-ACK has the old key only.", func(c *conversation) {
		token, key := c.handshake(1)
		c.message(1, token, key, 10)
		lost := c.resume(2, token, key, "The client never gets this MSG-RSTOR-ACK.")
		next := c.resume(3, token, key, "It tries again with the key that it has.")
		c.message(3, token, next, 10)
		c.refuse(4, token, key, "The message under the new key has ended the old one,")
		c.refuse(5, token, lost, "and the one of the lost MSG-RSTOR-ACK.")
		last := c.resume(6, token, next, "")
		c.message(6, token, last, 10)
	})
	add("resumed under a pending key", "A MSG-RSTOR under a pending key promotes it as a message does.", func(c *conversation) {
		token, key := c.handshake(1)
		pending := c.resume(2, token, key, "")
		next := c.resume(3, token, pending, "")
		c.refuse(4, token, key, "")
		c.message(3, token, next, 10)
	})
	add("four pending keys and no more", "", func(c *conversation) {
		token, key := c.handshake(1)
		var last []byte
		for i := range 4 {
			last = c.resume(2+i, token, key, "")
		}
		c.refuse(6, token, key, "A fifth would be too many.")
		c.message(5, token, last, 10)
		next := c.resume(7, token, last, "")
		c.message(7, token, next, 10)
	})
	add("replayed MSG-RSTOR", "", func(c *conversation) {
		token, key := c.handshake(1)
		next := c.resume(2, token, key, "")
		replayed := c.steps[len(c.steps)-1].Packet
		c.add(3, "req-rehs", "The same packet again.", replayed, nil, nil, nil)
		c.message(2, token, next, 10)
		c.add(4, "req-rehs", "And again, after the new key is in use.", replayed, nil, nil, nil)
		c.message(2, token, next, 10)
	})
	for _, n := range []int{17, 32} {
		add(fmt.Sprintf("a message of %d bytes sent again as a MSG-RSTOR", n), "Type and length are covered by no MAC. If the server took it, its owner could not resume.", func(c *conversation) {
			token, key := c.handshake(1)
			p := edited(c.message(1, token, key, n), 5, typeRSTOR, 0, 0, 0, 32)
			c.add(2, "req-rehs", "", p, nil, nil, nil)
			c.message(1, token, key, 10)
			next := c.resume(3, token, key, "The owner can resume.")
			c.message(3, token, next, 10)
		})
	}
	add("a message again on the resumed connection", "", func(c *conversation) {
		token, key := c.handshake(1)
		p := c.message(1, token, key, 10)
		c.resume(2, token, key, "")
		c.add(2, "closed", "It is under another key.", p, nil, nil, nil)
	})
	add("unknown token", "REQ-REHS, and the same connection goes on with a SYN.", func(c *conversation) {
		c.refuse(1, c.draw(16), c.draw(32), "")
		token, key := c.handshake(1)
		c.message(1, token, key, 10)
	})
	add("MSG-RSTOR with a wrong MAC", "It ends as one of an unknown token does.", func(c *conversation) {
		token, _ := c.handshake(1)
		c.refuse(2, token, c.draw(32), "")
		c.refuse(2, token, make([]byte, 32), "Under a key of zeros.")
		c.handshake(2)
	})
	add("a token can't be resumed before its ACK", "", func(c *conversation) {
		x := c.secrets()
		modulus, exponent := publicKey(&clientKey.PublicKey)
		c.add(1, "syn-ack", "", c.syn(synPlain(modulus, exponent, x.ephemeral, version)), slices.Concat(x.token, x.server), nil, x.ephemeral)
		c.refuse(2, x.token, make([]byte, 32), "")
		c.refuse(2, x.token, x.master(), "")
	})
	add("another version", "", func(c *conversation) {
		x := c.secrets()
		modulus, exponent := publicKey(&clientKey.PublicKey)
		c.add(1, "error-syn-ack", "Code 01 in both places; then the connection is closed.",
			c.syn(synPlain(modulus, exponent, x.ephemeral, []byte{0x0B, 0})), nil, nil, x.ephemeral)
	})
	closed := func(name string, packet func(c *conversation, token, key []byte) []byte) {
		add(name, "", func(c *conversation) {
			token, key := c.handshake(1)
			c.message(1, token, key, 10)
			c.add(1, "closed", "", packet(c, token, key), nil, nil, nil)
		})
	}
	closed("a message with a wrong MAC", func(c *conversation, token, key []byte) []byte {
		return flipped(c.msg(typeMSG, key, token, c.draw(10)), 26)
	})
	closed("a message sent twice", func(c *conversation, _, _ []byte) []byte { return c.steps[len(c.steps)-1].Packet })
	closed("an empty message", func(c *conversation, token, key []byte) []byte { return c.msg(typeMSG, key, token, nil) })
	closed("a message that is too long", func(c *conversation, token, key []byte) []byte {
		return append(header(typeMSG), 0, 0x10, 0, 1)
	})
	closed("a SYN after the handshake", func(c *conversation, _, _ []byte) []byte { return header(typeSYN) })
	closed("a MSG-RSTOR after the handshake", func(c *conversation, token, key []byte) []byte {
		return c.msg(typeRSTOR, key, token, c.draw(32))
	})
	closed("two messages at once", func(c *conversation, token, key []byte) []byte {
		return append(c.msg(typeMSG, key, token, c.draw(10)), c.msg(typeMSG, key, token, c.draw(10))...)
	})
	add("not Megaki", "", func(c *conversation) { c.add(1, "closed", "", []byte("GET / HTTP/1.1\r\n\r\n"), nil, nil, nil) })
	add("a message before any key", "", func(c *conversation) {
		c.add(1, "closed", "", c.msg(typeMSG, c.draw(32), c.draw(16), c.draw(10)), nil, nil, nil)
	})
	return f
}
