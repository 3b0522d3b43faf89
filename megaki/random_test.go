package megaki

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// TestRandom: what a client draws isn't the same twice. Whoever could guess it would have
// the key of the session, or see that two messages are the same.
func TestRandom(t *testing.T) {
	old := &Session{Token: Token{1}, Key: [symmetricKey]byte{2}}
	drawn := map[string]func() []byte{
		"the key that protects SYN-ACK": func() []byte {
			syn := (*synPacket)(firstPacket(t, &Config{ServerKey: &testKey().PublicKey, ClientKey: testClientKey()}, len(synPacket{})))
			plain, _, _, err := openSYN(syn, serverKeys(testKey()), decryptOAEP)
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Clone(plain.ephemeral())
		},
		"the client's half of the master key": func() []byte { _, half := sealACK(new(secretPlain), make([]byte, symmetricKey)); return half[:] },
		"the IV of ACK":                       func() []byte { ack, _ := sealACK(new(secretPlain), make([]byte, symmetricKey)); return ack.iv() },
		"the client's part of a new master key": func() []byte {
			p := msgPacket(firstPacket(t, &Config{ServerKey: &testKey().PublicKey, Session: old}, len(rstorPacket{})))
			return newBox(&old.Key).open(p)
		},
		"the IV of a message": func() []byte { return oneByte().iv() },
		"the padding of a message": func() []byte {
			p := oneByte()
			newBox(&old.Key).open(p)
			return p[msgHeaderSize+1:]
		},
	}
	for name, draw := range drawn {
		a, b := draw(), draw()
		if bytes.Equal(a, b) || bytes.Count(a, []byte{0}) > len(a)/2 {
			t.Errorf("%s is % x, then % x", name, a, b)
		}
	}
}

// oneByte returns a message of one byte, under the key of TestRandom.
func oneByte() msgPacket {
	p := make(msgPacket, msgHeaderSize+16)
	newBox(&[symmetricKey]byte{2}).seal(p, typeMSG, make([]byte, tokenSize), 1)
	return p
}

// firstPacket returns what a client sends first.
func firstPacket(t *testing.T, cfg *Config, n int) []byte {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		NewConn(t.Context(), client, cfg)
		client.Close()
	}()
	p := make([]byte, n)
	if _, err := io.ReadFull(server, p); err != nil {
		t.Fatal(err)
	}
	server.Close()
	return p
}
