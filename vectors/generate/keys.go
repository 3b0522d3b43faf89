package main

import (
	"fmt"
	"math/big"
)

// keyVectors are public keys in the form that a SYN and a pinned key file have.
func keyVectors() file {
	s := source{seed: "keys"}
	f := file{
		Description: "RSA public keys: 256 bytes of modulus and 4 of exponent. A key has exactly 2048 bits and is odd, its exponent is odd and at least 3.",
		Protocol:    version,
	}
	modulus, exponent := publicKey(&serverKey.PublicKey)
	add := func(name, comment, expect string, modulus, exponent []byte) {
		f.Tests = append(f.Tests, test{Name: name, Comment: comment, Operation: "public-key", Expect: expect, Modulus: modulus, Exponent: exponent})
	}
	add("a server's key", "", "ok", modulus, exponent)
	add("exponent 3", "", "ok", modulus, uint32Bytes(3))
	add("exponent 2^31-1", "The largest that every implementation takes.", "ok", modulus, uint32Bytes(1<<31-1))
	for _, e := range []uint32{0, 1, 2, 65536} {
		add(fmt.Sprintf("exponent %d", e), "", "bad-key", modulus, uint32Bytes(e))
	}
	for _, bits := range []uint{1, 7, 1024} {
		n := new(big.Int).SetBytes(s.draw(256))
		n.SetBit(n, 2047, 1).Rsh(n, bits).SetBit(n, 0, 1)
		add(fmt.Sprintf("modulus of %d bits", 2048-bits), "", "bad-key", n.FillBytes(make([]byte, 256)), exponent)
	}
	add("even modulus", "", "bad-key", edited(modulus, 255, modulus[255]&^1), exponent)
	add("modulus 0", "", "bad-key", make([]byte, 256), exponent)

	for range 3 {
		a, b := s.draw(32), s.draw(32)
		f.Tests = append(f.Tests, test{Name: fmt.Sprintf("derive %x", a[:4]), Operation: "derive", Expect: "ok",
			ServerSymmetric: a, ClientSymmetric: b, Key: derive(a, b)})
	}
	return f
}
