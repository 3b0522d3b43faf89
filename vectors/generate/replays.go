package main

import "slices"

// replayVectors are packets on one connection that has a key.
func replayVectors() file {
	s := source{seed: "replays"}
	f := file{
		Description: "What a connection under a master key receives, in order. A step with sent is a packet that this side itself has sent: its MAC is seen, too. The first step that fails ends the connection.",
		Protocol:    version,
	}
	for _, side := range []string{"server", "client"} {
		key, token := s.draw(32), s.draw(16)
		received := func(plain []byte) step {
			return step{Packet: s.msg(typeMSG, key, token, plain), Expect: "ok", Plaintext: plain}
		}
		sent := func() step {
			return step{Packet: s.msg(typeMSG, key, token, s.draw(20)), Sent: true, Expect: "ok"}
		}
		again := func(of step, comment string) step {
			return step{Packet: of.Packet, Expect: "replay", Comment: comment}
		}
		add := func(name, comment string, steps ...step) {
			f.Tests = append(f.Tests, test{Name: name + ", " + side, Comment: comment, Operation: "session", Side: side,
				Limit: 1 << 20, Key: key, Token: token, Steps: steps})
		}
		a, b, c := received(s.draw(20)), sent(), received(s.draw(5))
		if side == "client" { // which speaks first
			a, b, c = sent(), received(s.draw(20)), sent()
		}
		add("a conversation", "", a, b, c)
		last := b
		if side == "server" {
			last = a
		}
		add("a packet again", "", a, b, c, again(last, "It was received before."))
		mine := b
		if side == "client" {
			mine = a
		}
		add("a packet sent back to its sender", "", a, b, c, again(mine, "It was sent by this side."))
		if side == "client" {
			mine = a
			add("a request sent back at once", "", a, again(mine, ""))
		}
		token2 := again(last, "Neither the token nor the length is covered by the MAC: they do not make it another packet.")
		token2.Packet = slices.Concat(token2.Packet[:9], []byte{19}, s.draw(16), token2.Packet[26:])
		add("a packet again with another token and length", "", a, b, c, token2)
	}
	return f
}
