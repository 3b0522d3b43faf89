package megaki

import (
	"bytes"
	"errors"
	"testing"
)

// The fuzzers of parsers that a secret guards know the secret: their seeds are
// genuine, and what is accepted must be one of them, byte for byte, but for
// the bytes that v1 leaves unguarded.

// fuzzStates are all states of both sides.
func fuzzStates(maxMsg int) []expectation {
	return []expectation{expectHello, expectSYNACK, expectACK, expectACKACK, expectRSTORACK,
		{state: "MSG", types: []byte{typeMSG}, minMsg: 1, maxMsg: maxMsg}, // of a server
		{state: "MSG", types: []byte{typeMSG}, maxMsg: maxMsg}}            // of a client
}

func (f *flow) packets() (all [][]byte) {
	for _, list := range [][]recorded{f.Handshake.Packets, f.Messages[0].Packets, f.Messages[4].Packets, f.Resumption.Packets, f.Unknown.Packets} {
		for _, p := range list {
			all = append(all, p.Hex)
		}
	}
	return all
}

func FuzzSize(f *testing.F) {
	for _, p := range loadFlow(f).packets() {
		for state := range fuzzStates(0) {
			f.Add(uint8(state), 1<<20, p)
		}
	}
	f.Add(uint8(5), 1<<20, []byte("MGK\xAA\xCA\x04\xFF\xFF\xFF\xFF"))
	f.Add(uint8(0), 1<<20, []byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, state uint8, maxMsg int, p []byte) {
		states := fuzzStates(min(max(maxMsg, 1), MaxMessageLimit))
		e := states[int(state)%len(states)]
		known, failed := 0, false
		for i := range len(p) + 1 {
			size, err := e.frameSize(p[:i])
			switch {
			case failed && err == nil:
				t.Fatalf("%d bytes are right after fewer were wrong", i)
			case err == nil && known > 0 && size != known:
				t.Fatalf("size %d after %d bytes, was %d", size, i, known)
			case err == nil && size != 0 && (size < headerSize || i < headerSize || size > max(len(synPacket{}), msgHeaderSize+padded(e.maxMsg))):
				t.Fatalf("size %d after %d bytes", size, i)
			case i >= headerSize+4 && err == nil && size == 0:
				t.Fatalf("no size after %d bytes", i)
			}
			if err == nil && size > 0 && p[5] >= typeMSG && p[5] <= typeRSTORACK {
				if n := msgPacket(p).length(); n < e.minMsg && p[5] == typeMSG || size != msgHeaderSize+padded(n) {
					t.Fatalf("size %d for %d bytes of plaintext", size, n)
				}
			}
			known, failed = size, err != nil
		}
	})
}

func FuzzSealAndOpen(f *testing.F) {
	f.Add([]byte("key"), []byte("token"), []byte("x"), uint16(0))
	f.Add([]byte{}, []byte{}, []byte{}, uint16(77))
	f.Add([]byte("k"), []byte("t"), bytes.Repeat([]byte("16 bytes of text"), 9), uint16(3000))
	f.Fuzz(func(t *testing.T, key, token, plain []byte, at uint16) {
		var k [symmetricKey]byte
		copy(k[:], key)
		var tok Token
		copy(tok[:], token)
		b := newBox(&k)
		p := sealed(b, typeMSG, tok[:], plain)
		e := expectation{state: "MSG", types: []byte{typeMSG}, maxMsg: len(plain)}
		if n, err := e.frameSize(p); err != nil || n != len(p) {
			t.Fatalf("size %d of %d: %v", n, len(p), err)
		}
		for _, q := range []msgPacket{p[:len(p):len(p)], msgPacket(bytes.Clone(p))} {
			if i := 26 + int(at)%(len(q)-26); true {
				q[i] ^= 1
				if b.verify(q) {
					t.Fatalf("byte %d changed, and taken", i)
				}
				q[i] ^= 1
			}
			q = bytes.Clone(q)
			if !b.verify(q) || !bytes.Equal(q.token(), tok[:]) || !bytes.Equal(b.open(q), plain) {
				t.Fatal("not what was sealed")
			}
			// Sealed with the same IV and filling it is the same.
			b.encrypt(q.iv(), q.ciphertext())
			if !bytes.Equal(q, p) {
				t.Fatal("sealed again it is another packet")
			}
		}
	})
}

// fuzzPacket fuzzes a function that takes a packet of a fixed size, of which
// everything from a place on is guarded.
func fuzzPacket(f *testing.F, genuine []byte, guarded int, accepts func(p []byte) bool) {
	f.Add(genuine)
	for i := range genuine {
		f.Add(edited(genuine, i, genuine[i]^1))
	}
	if !accepts(bytes.Clone(genuine)) {
		f.Fatal("the genuine packet is refused")
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) != len(genuine) {
			p = append(p, make([]byte, len(genuine))...)[:len(genuine)]
		}
		if accepts(bytes.Clone(p)) != bytes.Equal(p[guarded:], genuine[guarded:]) {
			t.Errorf("taken or refused wrongly: %x", p)
		}
	})
}

func FuzzOpenACK(f *testing.F) {
	flow := loadFlow(f)
	secret := new(secretPlain)
	copy(secret.token(), flow.Handshake.Token)
	copy(secret.symmetric(), flow.Handshake.ServerSymmetric)
	fuzzPacket(f, flow.ack()[:], headerSize, func(p []byte) bool {
		_, err := openACK((*ackPacket)(p), flow.Handshake.EphemeralKey, secret)
		return err == nil
	})
}

// A client with the right MAC key is still held to the token.
func FuzzOpenACKWithRightMAC(f *testing.F) {
	flow := loadFlow(f)
	secret := new(secretPlain)
	copy(secret.token(), flow.Handshake.Token)
	copy(secret.symmetric(), flow.Handshake.ServerSymmetric)
	b := newBox((*[symmetricKey]byte)(secret.symmetric()))
	f.Add([]byte(flow.Handshake.Token), secret[:], make([]byte, ivSize))
	f.Add([]byte(flow.Handshake.Token), make([]byte, 48), make([]byte, ivSize))
	f.Add(make([]byte, 16), secret[:], make([]byte, ivSize))
	f.Fuzz(func(t *testing.T, outer, inner, iv []byte) {
		p := new(ackPacket)
		putHeader(p[:], typeACK)
		copy(p.token(), outer)
		copy(p.ciphertext(), inner)
		copy(p.iv(), iv)
		plain := secretPlain(p.ciphertext())
		b.encrypt(p.iv(), p.ciphertext())
		copy(p.mac(), newBox((*[symmetricKey]byte)(flow.Handshake.EphemeralKey)).authenticate(p.signed()))
		half, err := openACK(p, flow.Handshake.EphemeralKey, secret)
		right := bytes.Equal(p.token(), secret.token()) && bytes.Equal(plain.token(), secret.token())
		if right != (err == nil) || err == nil && half != [symmetricKey]byte(plain.symmetric()) || err != nil && !errors.Is(err, errCrypto) {
			t.Errorf("right %v: %x, %v", right, half, err)
		}
	})
}

func FuzzOpenSYNACK(f *testing.F) {
	flow := loadFlow(f)
	key := flow.clientKey(f)
	fuzzPacket(f, flow.synAck()[:], headerSize, func(p []byte) bool {
		_, err := openSYNACK((*synAckPacket)(p), flow.Handshake.EphemeralKey, key)
		return err == nil
	})
}

// A server with the right MAC key still can't make a client use a public key.
func FuzzOpenSYNACKWithRightMAC(f *testing.F) {
	flow := loadFlow(f)
	key := flow.clientKey(f)
	mark := bytes.Repeat([]byte{errorMark}, tokenSize)
	f.Add([]byte(flow.Handshake.Token), append(bytes.Clone(flow.Handshake.Token), make([]byte, 32)...))
	f.Add(mark, make([]byte, 48))
	f.Add(mark, append(bytes.Clone(mark), make([]byte, 32)...))
	f.Add(make([]byte, 16), append(bytes.Clone(mark), make([]byte, 32)...))
	f.Add(make([]byte, 16), make([]byte, 47))
	f.Fuzz(func(t *testing.T, outer, inner []byte) {
		inner = inner[:min(len(inner), oaepMax)]
		p := new(synAckPacket)
		copy(p.token(), outer)
		if err := encryptOAEP(p.block(), &key.PublicKey, inner); err != nil {
			t.Fatal(err)
		}
		copy(p.mac(), newBox((*[symmetricKey]byte)(flow.Handshake.EphemeralKey)).authenticate(p.block()))
		secret, err := openSYNACK(p, flow.Handshake.EphemeralKey, key)
		right := len(inner) == len(secretPlain{}) && bytes.Equal(inner[:tokenSize], p.token()) && !bytes.Equal(p.token(), mark)
		if right != (err == nil) || err == nil && !bytes.Equal(secret[:], inner) {
			t.Errorf("right %v: %v", right, err)
		}
	})
}

func FuzzOpenSYN(f *testing.F) {
	flow := loadFlow(f)
	private := flow.serverKey(f)
	keys := serverKeys(private)
	genuine, _, _, err := openSYN(flow.syn(), keys, decryptOAEP)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine[:])
	f.Add(edited(genuine[:], 0, 0))
	f.Add(edited(genuine[:], 255, 0))
	f.Add(edited(genuine[:], 256, 0, 0, 0, 1))
	f.Add(edited(genuine[:], 256, 0xFF, 0xFF, 0xFF, 0xFF))
	f.Fuzz(func(t *testing.T, p []byte) {
		plain := new(synPlain)
		copy(plain[:], p)
		syn, err := sealSYN(plain, &private.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		got, key, _, err := openSYN(syn, keys, decryptOAEP)
		want, keyErr := unpackKey(plain.publicKey())
		switch {
		case (err == nil) != (keyErr == nil):
			t.Errorf("%v, but the key: %v", err, keyErr)
		case err == nil && (*got != *plain || !key.Equal(want)):
			t.Error("another SYN")
		case err != nil && !errors.Is(err, errCrypto):
			t.Error(err)
		}
	})
}

func FuzzAcceptResume(f *testing.F) {
	flow := loadFlow(f)
	record := func() *Record {
		return &Record{Current: SessionKey{Key: [symmetricKey]byte(flow.Handshake.MasterKey)}, Pending: []SessionKey{{Key: [symmetricKey]byte{1}}}}
	}
	fuzzPacket(f, flow.Resumption.Packets[0].Hex, 26, func(p []byte) bool {
		copy(p, flow.Resumption.Packets[0].Hex[:10]) // type and length are checked before
		old := record()
		r, ok := acceptResume(old, p, [symmetricKey]byte{7}, nil, verifyUnder)
		if ok && (len(r.next.Pending) != 2 || len(r.next.Resumes) != 1 || r.next.Current.Key != old.Current.Key || r.key.Key == old.Current.Key) {
			f.Errorf("next record: %+v", r.next)
		}
		if len(old.Pending) != 1 || len(old.Resumes) != 0 {
			f.Error("the old record has changed")
		}
		return ok
	})
}

func FuzzOpenRSTORACK(f *testing.F) {
	flow := loadFlow(f)
	r := &flow.Resumption
	fuzzPacket(f, r.Packets[1].Hex, 26, func(p []byte) bool {
		copy(p, r.Packets[1].Hex[:10])
		key, err := openRSTORACK(p, (*[symmetricKey]byte)(flow.Handshake.MasterKey), (*[symmetricKey]byte)(r.ClientAugment))
		return err == nil && bytes.Equal(key[:], r.MasterKey)
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	flow := loadFlow(f)
	pass := "pass:" + flow.ServerPassphrase
	plain := []byte(flow.ServerPrivate)
	f.Add(plain, []byte{})
	f.Add([]byte(flow.ServerEncrypted), []byte(flow.ServerPassphrase))
	f.Add(openssl(f, plain, "pkcs8", "-topk8", "-nocrypt"), []byte{})
	for _, c := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3"} {
		f.Add(openssl(f, plain, "pkcs8", "-topk8", "-iter", "1", "-v2", c, "-passout", pass), []byte(flow.ServerPassphrase))
	}
	f.Add(openssl(f, nil, "ecparam", "-name", "prime256v1", "-genkey"), []byte{})
	f.Fuzz(func(t *testing.T, data, passphrase []byte) {
		// The iterations of a file may take seconds; that is bounded, but no
		// work for a fuzzer.
		if block, err := findPEM(data, "RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"); err == nil {
			if k, err := readPBES2(block.Bytes); err == nil && k.iterations > 1000 {
				if k.iterations > maxIterations {
					t.Errorf("%d iterations", k.iterations)
				}
				passphrase = nil
			}
		}
		key, err := ParsePrivateKey(data, passphrase)
		if err != nil {
			return
		}
		if err := checkKey(&key.PublicKey); err != nil {
			t.Error(err)
		}
		again, err := MarshalPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParsePrivateKey(again, nil); err != nil || !back.Equal(key) {
			t.Errorf("another key came back: %v", err)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	flow := loadFlow(f)
	f.Add([]byte(flow.ServerPublic))
	f.Add([]byte(flow.ServerKeyFile))
	f.Add(edited(flow.ServerKeyFile, 256, 0, 0, 0, 3))
	f.Add(edited(flow.ServerKeyFile, 256, 0x80, 0, 0, 1))
	f.Add(openssl(f, []byte(flow.ServerPrivate), "rsa", "-RSAPublicKey_out"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParsePublicKey(data)
		if err != nil {
			return
		}
		if key.N.BitLen() != keyBits || key.N.Bit(0) == 0 || key.E < 3 || key.E%2 == 0 {
			t.Errorf("accepted: %+v", key)
		}
		pinned, err := PinnedKey(key)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := MarshalPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range [][]byte{pinned, pem} {
			if back, err := ParsePublicKey(form); err != nil || !back.Equal(key) {
				t.Errorf("another key came back: %v", err)
			}
		}
	})
}

func FuzzSession(f *testing.F) {
	flow := loadFlow(f)
	f.Add([]byte(flow.Resumption.SessionData))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		var s Session
		err := s.UnmarshalBinary(p)
		if (err == nil) != (len(p) == SessionSize) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		if back, err := s.MarshalBinary(); err != nil || !bytes.Equal(back, p) {
			t.Errorf("%x, %v", back, err)
		}
	})
}
