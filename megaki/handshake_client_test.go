package megaki

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"math/big"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestErrorSYNACK(t *testing.T) {
	mark := bytes.Repeat([]byte{errorMark}, tokenSize)
	for _, code := range []Code{CodeVersion, CodeUnavailable, CodeBlacklisted, 0x1234} {
		full := code.bytes()
		forms := map[string]func(s *script) *synAckPacket{
			"of the reference client": func(s *script) *synAckPacket {
				copy(s.secret.token(), full[:])
				return s.synAck(mark)
			},
			"of the reference server": func(s *script) *synAckPacket {
				copy(s.secret.token(), mark)
				copy(s.secret.symmetric(), full[:])
				return s.synAck([]byte("random of server"))
			},
			"inside and outside": func(s *script) *synAckPacket {
				copy(s.secret.token(), mark)
				copy(s.secret.symmetric(), full[:])
				return s.synAck(mark)
			},
			"of our server": func(s *script) *synAckPacket {
				p, err := sealErrorSYNACK(code, s.plain.ephemeral(), s.clientKey)
				if err != nil {
					s.fail(err)
				}
				return p
			},
		}
		for name, form := range forms {
			for _, forged := range []bool{false, true} {
				addr := scripted(t, func(s *script) {
					s.readSYN()
					p := form(s)
					if forged {
						p.mac()[31] ^= 1
					}
					s.write(p[:])
					s.end()
				})
				_, err := Dial(t.Context(), "tcp", addr, clientConfig())
				var serverErr *ServerError
				switch {
				case forged && errors.As(err, &serverErr), forged && err == nil:
					t.Errorf("form %s was believed before its MAC: %v", name, err)
				case !forged && (!errors.As(err, &serverErr) || serverErr.Code != code):
					t.Errorf("form %s, code %v: %v", name, code, err)
				}
			}
		}
	}
}

func TestSYNACKThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		says string
		do   func(s *script)
	}{
		{"wrong MAC: the server doesn't have the private key of the pinned one (compare the keys)", func(s *script) {
			s.read(len(synPacket{})) // can't be read by this server
			p := new(synAckPacket)
			putHeader(p[:], typeSYNACK)
			s.write(p[:])
		}},
		{"waiting for SYN-ACK: the server closed the connection instead: either it doesn't have the private key", func(s *script) {
			s.read(len(synPacket{}))
		}},
		{"waiting for SYN-ACK: the server closed the connection", func(s *script) {
			s.readSYN()
			s.write(s.synAck(s.secret.token())[:309])
			s.Conn.Close()
		}},
		{"two tokens", func(s *script) {
			s.readSYN()
			s.write(s.synAck(make([]byte, tokenSize))[:])
		}},
		{"isn't encrypted to the client's key", func(s *script) {
			s.readSYN()
			s.clientKey = &testKey().PublicKey
			s.write(s.synAck(s.secret.token())[:])
		}},
		{"type 04, while waiting for SYN-ACK", func(s *script) {
			s.readSYN()
			p := s.synAck(s.secret.token())
			p[5] = typeMSG
			s.write(p[:])
		}},
		{"out of turn", func(s *script) {
			s.readSYN()
			s.write(append(s.synAck(s.secret.token())[:], 'M'))
		}},
		{"waiting for ACK-ACK: the server closed the connection", func(s *script) {
			s.readSYN()
			s.write(s.synAck(s.secret.token())[:])
			s.read(len(ackPacket{}))
		}},
	} {
		addr := scripted(t, func(s *script) {
			c.do(s)
			if tcp, ok := s.Conn.(*net.TCPConn); ok {
				tcp.CloseWrite()
			}
			s.end()
		})
		_, err := Dial(t.Context(), "tcp", addr, clientConfig())
		checkError(t, err, c.says)
	}

	// The same at a real server.
	addr := start(t, &Server{})
	cfg := clientConfig()
	cfg.ServerKey = &testClientKey().PublicKey
	_, err := Dial(t.Context(), "tcp", addr, cfg)
	checkError(t, err, "it doesn't have the private key of the pinned one (compare the keys)")
}

func TestConfigIsChecked(t *testing.T) {
	key := testKey()
	short, err := rsa.GenerateKey(nil, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(key.N, 2048), E: 3}}
	for _, c := range []struct {
		says string
		cfg  Config
	}{
		{"needs the ServerKey", Config{}},
		{"server key: unusable RSA key: no modulus", Config{ServerKey: new(rsa.PublicKey)}},
		{"server key: unusable RSA key: 1024 bits", Config{ServerKey: &short.PublicKey}},
		{"client key: unusable RSA key: 1024 bits", Config{ServerKey: &key.PublicKey, ClientKey: short}},
		{"client key: unusable RSA key: 4096 bits", Config{ServerKey: &key.PublicKey, ClientKey: long}},
		{"a MaxMessage of 67108865", Config{ServerKey: &key.PublicKey, MaxMessage: MaxMessageLimit + 1}},
		{"a MaxMessage of -1", Config{ServerKey: &key.PublicKey, MaxMessage: -1}},
	} {
		_, err := Dial(t.Context(), "tcp", "127.0.0.1:1", &c.cfg)
		checkError(t, err, c.says)
	}
}

func TestContextBoundsTheHandshake(t *testing.T) {
	for name, silent := range map[string]func(s *script){
		"SYN":  func(s *script) { s.read(len(synPacket{})) },
		"half": func(s *script) { s.readSYN(); s.write(s.synAck(s.secret.token())[:100]) },
		"ACK": func(s *script) {
			s.readSYN()
			s.write(s.synAck(s.secret.token())[:])
			s.read(len(ackPacket{}))
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		addr := scripted(t, func(s *script) {
			silent(s)
			cancel()
			s.end()
		})
		if _, err := Dial(ctx, "tcp", addr, clientConfig()); !errors.Is(err, context.Canceled) {
			t.Errorf("silent after %s, canceled: %v", name, err)
		}
		cfg := clientConfig() // makes the keys outside of the bubble
		synctest.Test(t, func(t *testing.T) {
			conn := scriptedPipe(t, func(s *script) {
				silent(s)
				s.end()
			})
			begin := time.Now()
			_, err := NewConn(t.Context(), conn, cfg)
			if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took != DefaultHandshakeTimeout {
				t.Errorf("silent after %s: %v after %v", name, err, took)
			}
			conn.Close()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "tcp", "127.0.0.1:1", clientConfig()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
	client, server := net.Pipe() // a write to it would block
	defer client.Close()
	defer server.Close()
	if _, err := NewConn(ctx, client, clientConfig()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before, NewConn: %v", err)
	}
}

func TestWrongResumption(t *testing.T) {
	session := &Session{Token: Token{1}, Key: [symmetricKey]byte{2}}
	for _, c := range []struct {
		says string
		do   func(s *script, rstor msgPacket)
	}{
		{"waiting for MSG-RSTOR-ACK: the server closed the connection", func(*script, msgPacket) {}},
		{"type 05, while waiting for MSG-RSTOR-ACK", func(s *script, rstor msgPacket) { s.write(rstor) }},
		{"MSG-RSTOR-ACK: the packet is not genuine: wrong MAC", func(s *script, rstor msgPacket) {
			rstor[5] = typeRSTORACK // sent back to its sender
			s.write(rstor)
		}},
		{"MSG-RSTOR-ACK of 31 bytes", func(s *script, rstor msgPacket) {
			putHeader(rstor, typeRSTORACK)
			s.write(edited(rstor, 9, 31))
		}},
	} {
		addr := scripted(t, func(s *script) {
			c.do(s, s.read(len(rstorPacket{})))
			s.Conn.(*net.TCPConn).CloseWrite()
			s.end()
		})
		cfg := clientConfig()
		cfg.Session = session
		_, err := Dial(t.Context(), "tcp", addr, cfg)
		checkError(t, err, c.says)
	}
}
