package main

import (
	"bytes"
	"fmt"
	"slices"
)

// secrets are what the two sides of a handshake draw.
type secrets struct {
	ephemeral, token, server, client []byte
}

func (s *source) secrets() secrets {
	return secrets{s.draw(32), s.draw(16), s.draw(32), s.draw(32)}
}

func (x *secrets) master() []byte { return derive(x.server, x.client) }

// handshakeVectors are SYNs, SYN-ACKs and ACKs, each for the side that reads it.
func handshakeVectors() file {
	f := file{
		Description: "The packets of handshakes, right and wrong, each for the side that reads it. The keys are for vectors only.",
		Protocol:    version,
		Keys:        map[string]string{"server": serverPEM + "\n", "client": clientPEM + "\n"},
	}
	f.Tests = slices.Concat(synVectors(), synAckVectors(), ackVectors())
	return f
}

func synVectors() (tests []test) {
	s := source{seed: "syn"}
	modulus, exponent := publicKey(&clientKey.PublicKey)
	x := s.secrets()
	base := test{Operation: "open-syn", Modulus: modulus, Exponent: exponent, EphemeralKey: x.ephemeral, Version: version}
	add := func(name, expect, comment string, packet []byte) {
		t := base
		t.Name, t.Expect, t.Comment, t.Packet = "SYN: "+name, expect, comment, packet
		if expect != "ok" && expect != "version" {
			t.Modulus, t.Exponent, t.EphemeralKey, t.Version = nil, nil, nil, nil
		}
		tests = append(tests, t)
	}
	plain := synPlain(modulus, exponent, x.ephemeral, version)
	good := s.syn(plain)
	add("good", "ok", "", good)
	for _, n := range []int{6, 37, 294, 549} {
		add(fmt.Sprintf("the first %d bytes", n), "incomplete", "", good[:n])
	}
	for _, field := range fields[typeSYN] {
		add("flipped bit in the "+field.name, "crypto", "", flipped(good, field.at))
	}
	add("blocks in the wrong order", "crypto", "", slices.Concat(good[:38], good[294:], good[38:294]))
	add("block of zeros", "crypto", "", slices.Concat(good[:38], make([]byte, 256), good[294:]))
	add("block not below the modulus", "crypto", "", slices.Concat(good[:38], bytes.Repeat([]byte{0xFF}, 256), good[294:]))
	folded := slices.Clone(plain)
	xor(folded[214:294], plain[:80])
	short := func(a, b int) []byte {
		return slices.Concat(good[:38], s.oaep(&serverKey.PublicKey, folded[:a]), s.oaep(&serverKey.PublicKey, folded[214:b]))
	}
	add("block 0 of 213 bytes", "crypto", "", short(213, 294))
	add("block 1 of 79 bytes", "crypto", "", short(214, 293))
	other := s.oaep(&clientKey.PublicKey, folded[:214])
	add("block 0 to another key", "crypto", "", slices.Concat(good[:38], other, good[294:]))

	variant := func(name, expect, comment string, modulus, exponent, version []byte) {
		add(name, expect, comment, s.syn(synPlain(modulus, exponent, x.ephemeral, version)))
		if t := &tests[len(tests)-1]; expect == "version" {
			t.Version = version
		}
	}
	variant("version 0B00", "version", "Genuine, so the server responds with the error SYN-ACK of code 01, then closes.", modulus, exponent, []byte{0x0B, 0})
	variant("version 0000", "version", "", modulus, exponent, []byte{0, 0})
	for _, e := range []uint32{0, 1, 2, 65536} {
		variant(fmt.Sprintf("client key with exponent %d", e), "bad-key", "", modulus, uint32Bytes(e), version)
	}
	variant("client key with an even modulus", "bad-key", "", edited(modulus, 255, modulus[255]&^1), exponent, version)
	variant("client key of 2040 bits", "bad-key", "", edited(modulus, 0, 0), exponent, version)
	return tests
}

func synAckVectors() (tests []test) {
	s := source{seed: "syn-ack"}
	x := s.secrets()
	base := test{Operation: "open-syn-ack", EphemeralKey: x.ephemeral}
	add := func(name, expect, comment string, packet []byte, change func(*test)) {
		t := base
		t.Name, t.Expect, t.Comment, t.Packet = "SYN-ACK: "+name, expect, comment, packet
		if change != nil {
			change(&t)
		}
		tests = append(tests, t)
	}
	inner := slices.Concat(x.token, x.server)
	good := s.synAck(x.ephemeral, x.token, inner)
	add("good", "ok", "", good, func(t *test) { t.Token, t.ServerSymmetric = x.token, x.server })
	for _, n := range []int{5, 6, 38, 54, 309} {
		add(fmt.Sprintf("the first %d bytes", n), "incomplete", "", good[:n], nil)
	}
	for _, field := range fields[typeSYNACK] {
		add("flipped bit in the "+field.name, "crypto", "", flipped(good, field.at), nil)
	}
	add("MAC under another key", "crypto", "", s.synAck(s.draw(32), x.token, inner), nil)
	short := s.oaep(&clientKey.PublicKey, inner[:47])
	add("47 bytes inside", "crypto", "", slices.Concat(header(typeSYNACK), mac(x.ephemeral, short), x.token, short), nil)
	other := s.oaep(&serverKey.PublicKey, inner)
	add("to another key", "crypto", "", slices.Concat(header(typeSYNACK), mac(x.ephemeral, other), x.token, other), nil)

	mark := bytes.Repeat([]byte{0xEE}, 16)
	for _, code := range [][]byte{{1, 0}, {2, 0}, {3, 0xFF}} {
		full := append(slices.Clone(code), make([]byte, 30)...)
		set := func(t *test) { t.Code = code }
		name := func(form string) string { return fmt.Sprintf("error %x, %s", code, form) }
		add(name("form of the reference client"), "server-error", "EE in the outer token, the code in the inner token.",
			s.synAck(x.ephemeral, mark, slices.Concat(full[:16], s.draw(32))), set)
		add(name("form of the reference server"), "server-error", "EE in the inner token, the code in the place of server_symmetric; the outer token is random. It must never be acknowledged: its key would be the public code.",
			s.synAck(x.ephemeral, s.draw(16), slices.Concat(mark, full)), set)
		add(name("form to send"), "server-error", "The code in both places: the reference client reads it.",
			s.synAck(x.ephemeral, mark, slices.Concat(full[:16], full)), set)
		add(name("form to send")+", wrong MAC", "crypto", "Nothing is believed before the MAC.",
			flipped(s.synAck(x.ephemeral, mark, slices.Concat(full[:16], full)), 6), nil)
	}
	return tests
}

func ackVectors() (tests []test) {
	s := source{seed: "ack"}
	x := s.secrets()
	base := test{Operation: "open-ack", EphemeralKey: x.ephemeral, Token: x.token, ServerSymmetric: x.server}
	add := func(name, expect, comment string, packet []byte) {
		t := base
		t.Name, t.Expect, t.Comment, t.Packet = "ACK: "+name, expect, comment, packet
		if expect == "ok" {
			t.ClientSymmetric, t.Key = x.client, x.master()
		}
		tests = append(tests, t)
	}
	inner := slices.Concat(x.token, x.client)
	good := s.ack(x.ephemeral, x.server, x.token, inner)
	add("good", "ok", "", good)
	for _, n := range []int{6, 54, 117} {
		add(fmt.Sprintf("the first %d bytes", n), "incomplete", "", good[:n])
	}
	for _, field := range fields[typeACK] {
		add("flipped bit in the "+field.name, "crypto", "", flipped(good, field.at))
	}
	wrong := s.draw(16)
	add("another inner token", "crypto", "The MAC is valid.", s.ack(x.ephemeral, x.server, x.token, slices.Concat(wrong, x.client)))
	add("another token, inside and outside", "crypto", "The MAC is valid.", s.ack(x.ephemeral, x.server, wrong, slices.Concat(wrong, x.client)))
	add("MAC under another key", "crypto", "", s.ack(s.draw(32), x.server, x.token, inner))
	return tests
}
