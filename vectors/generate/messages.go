package main

import (
	"fmt"
	"slices"
)

// messageVectors are single MSGs under a key.
func messageVectors() file {
	s := source{seed: "messages"}
	f := file{
		Description: "MSG packets under a master key, each as the first that a connection receives.",
		Protocol:    version,
	}
	key, token := s.draw(32), s.draw(16)
	add := func(name, side, expect, comment string, packet, plain []byte) {
		t := test{Name: name, Comment: comment, Operation: "open-message", Expect: expect, Side: side,
			Limit: 1 << 20, Key: key, Packet: packet, Plaintext: plain}
		if expect == "ok" {
			t.Token = packet[10:26]
		}
		f.Tests = append(f.Tests, t)
	}
	for _, side := range []string{"server", "client"} {
		for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 255, 1000, 4016, 4017, 8193} {
			plain := s.draw(n)
			p := s.msg(typeMSG, key, token, plain)
			switch {
			case n == 0 && side == "server":
				add("0 bytes to the server", side, "malformed", "A client's message has at least one byte.", p, nil)
			default:
				add(fmt.Sprintf("%d bytes to the %s", n, side), side, "ok", "", p, plain)
			}
		}
		plain := s.draw(40)
		good := s.msg(typeMSG, key, token, plain)
		for _, n := range []int{0, 1, 6, 9, 10, 73, 74, 121} {
			add(fmt.Sprintf("the first %d of %d bytes to the %s", n, len(good), side), side, "incomplete", "", good[:n], nil)
		}
		for _, field := range fields[typeMSG] {
			add("flipped bit in the "+field.name+", to the "+side, side, "crypto", "", flipped(good, field.at), nil)
		}
		add("flipped bit in the last byte, to the "+side, side, "crypto", "", flipped(good, len(good)-1), nil)
		add("MAC under another key, to the "+side, side, "crypto", "", s.msg(typeMSG, s.draw(32), token, plain), nil)
		other := s.draw(16)
		add("another token, to the "+side, side, "ok", "No MAC covers the token: whatever it is, the message is accepted, and the response carries it.",
			slices.Concat(good[:10], other, good[26:]), plain)
		add("a token of zeros, to the "+side, side, "ok", "libsazukari sends this after it has resumed.",
			slices.Concat(good[:10], make([]byte, 16), good[26:]), plain)
		cut := edited(good, 9, 33)
		add("length cut from 40 to 33, to the "+side, side, "ok", "No MAC covers the length: within the last block a change is not detected.", cut, plain[:33])
		add("a block less than its length, to the "+side, side, "crypto", "", edited(good, 9, 32)[:74+32], nil)
		add("longer than the limit, to the "+side, side, "too-long", "", edited(good, 6, 0, 0x10, 0, 1), nil)
		add("a length that wraps, to the "+side, side, "too-long", "", edited(good, 6, 0xFF, 0xFF, 0xFF, 0xFF), nil)
	}
	return f
}

// resumptionVectors are MSG-RSTOR-ACKs, for the client that reads them.
func resumptionVectors() file {
	s := source{seed: "resumption"}
	f := file{
		Description: "MSG-RSTOR-ACK packets, for a client that has sent a MSG-RSTOR with client_augment under key.",
		Protocol:    version,
	}
	old, token, client, server := s.draw(32), s.draw(16), s.draw(32), s.draw(32)
	mid := derive(old, client)
	add := func(name, expect, comment string, packet []byte) {
		t := test{Name: name, Comment: comment, Operation: "open-rstor-ack", Expect: expect, Key: old, ClientAugment: client, Packet: packet}
		if expect == "ok" {
			t.ServerAugment, t.NewKey = server, derive(mid, server)
		}
		f.Tests = append(f.Tests, t)
	}
	good := s.msg(typeRSTORACK, mid, token, server)
	add("good", "ok", "The new key is key XOR client_augment XOR server_augment.", good)
	add("REQ-REHS", "handshake-needed", "The same connection goes on with a SYN.", header(typeREQREHS))
	for _, n := range []int{5, 10, 74, 105} {
		add(fmt.Sprintf("the first %d bytes", n), "incomplete", "", good[:n])
	}
	for _, field := range fields[typeMSG] {
		add("flipped bit in the "+field.name, "crypto", "", flipped(good, field.at))
	}
	add("under the old key", "crypto", "", s.msg(typeRSTORACK, old, token, server))
	add("the client's own MSG-RSTOR, its type changed", "crypto", "", edited(s.msg(typeRSTOR, old, token, client), 5, typeRSTORACK))
	add("of 31 bytes", "malformed", "", edited(good, 9, 31))
	add("of type MSG", "malformed", "", edited(good, 5, typeMSG))
	return f
}
