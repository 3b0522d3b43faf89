package libsazukari_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"testing"

	"mkd/megaki"
)

// TestErrorsByName checks that the old program reports each error that a server
// can send, in the form that the reference's client expects, in that of its
// server, and in mkd's; and that the client sends nothing after it.
func TestErrorsByName(t *testing.T) {
	key, err := megaki.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(t.TempDir(), "key")
	writeKey(t, keyFile, key)
	for _, e := range []struct {
		code [2]byte
		name string
	}{
		{[2]byte{0x01}, "incompatible_versions"},
		{[2]byte{0x02}, "service_unavailable"},
		{[2]byte{0x03, 0xFF}, "server_blacklisted"},
		{[2]byte{0x42}, "unknown_errcode"},
	} {
		code := append(e.code[:], make([]byte, 30)...)
		mark := bytes.Repeat([]byte{0xEE}, 16)
		random := make([]byte, 16)
		rand.Read(random)
		for form, tokens := range map[string]struct{ outer, inner, secret []byte }{
			"client": {mark, code[:16], append(random, random...)},
			"server": {random, mark, code},
			"mkd":    {mark, code[:16], code},
		} {
			t.Run(e.name+"/"+form, func(t *testing.T) {
				address := serveOnce(t, func(syn []byte) []byte {
					return synAck(t, key, syn, tokens.outer, append(bytes.Clone(tokens.inner), tokens.secret...))
				})
				run(t, reference(t, address, keyFile, "handshake", e.name)[1])
			})
		}
	}
	t.Run("protocol", func(t *testing.T) {
		address := serveOnce(t, func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") })
		run(t, reference(t, address, keyFile, "handshake", "protocol")[1])
	})
}

// serveOnce serves one connection: it reads a SYN and sends the response.
func serveOnce(t *testing.T, response func(syn []byte) []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		syn := make([]byte, 550)
		if _, err := io.ReadFull(conn, syn); err != nil {
			t.Error(err)
			return
		}
		conn.Write(response(syn))
		if n, _ := io.Copy(io.Discard, conn); n > 0 {
			t.Errorf("the client sent %d bytes after an error", n)
		}
	}()
	return l.Addr().String()
}

// synAck responds to a SYN with a token outside and 48 bytes inside.
func synAck(t *testing.T, key *rsa.PrivateKey, syn, outer, inner []byte) []byte {
	var plain []byte
	for _, block := range [][]byte{syn[38:294], syn[294:550]} {
		part, err := rsa.DecryptOAEP(sha1.New(), nil, key, block, nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		plain = append(plain, part...)
	}
	for i := range plain[214:] {
		plain[214+i] ^= plain[i]
	}
	client := &rsa.PublicKey{N: new(big.Int).SetBytes(plain[:256]), E: int(binary.BigEndian.Uint32(plain[256:260]))}
	block, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, client, inner, nil)
	if err != nil {
		t.Error(err)
		return nil
	}
	mac := hmac.New(sha256.New, plain[260:292])
	mac.Write(block)
	packet := append([]byte("MGK\xAA\xCA\x02"), mac.Sum(nil)...)
	return append(append(packet, outer...), block...)
}
