package megaki

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"
)

// benchSizes are bytes of plaintext.
var benchSizes = []int{64, 1 << 10, 64 << 10, 1 << 20}

func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

func TestSealAndOpenAllocateNothing(t *testing.T) {
	b := newBox(&[symmetricKey]byte{1})
	token := make([]byte, tokenSize)
	for _, size := range []int{1, 16, 100, 64 << 10} {
		p := make(msgPacket, msgHeaderSize+padded(size))
		if n := testing.AllocsPerRun(20, func() {
			b.seal(p, typeMSG, token, size)
			if !b.verify(p) || len(b.open(p)) != size {
				t.Error("not what was sealed")
			}
		}); n != 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	box := newBox(&[symmetricKey]byte{1})
	token := make([]byte, tokenSize)
	for _, size := range benchSizes {
		p := make(msgPacket, msgHeaderSize+padded(size))
		b.Run(sizeName(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				box.seal(p, typeMSG, token, size)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	box := newBox(&[symmetricKey]byte{1})
	for _, size := range benchSizes {
		p := sealed(box, typeMSG, nil, make([]byte, size))
		b.Run(sizeName(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() { // opened in place, so all but the first open noise
				mac := box.authenticate(p.signed())
				copy(p.mac(), mac)
				box.open(p)
			}
		})
	}
}

// BenchmarkHandshakeServer is what a handshake costs the server's CPU.
func BenchmarkHandshakeServer(b *testing.B) {
	f := loadFlow(b)
	keys := serverKeys(f.serverKey(b))
	h := &f.Handshake
	secret := new(secretPlain)
	copy(secret.token(), h.Token)
	copy(secret.symmetric(), h.ServerSymmetric)
	b.ReportAllocs()
	for b.Loop() {
		plain, clientKey, _, err := openSYN(f.syn(), keys, decryptOAEP)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := sealSYNACK(secret.token(), secret, plain.ephemeral(), clientKey); err != nil {
			b.Fatal(err)
		}
		if _, err := openACK(f.ack(), plain.ephemeral(), secret); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResumeServer is what resuming costs the server's CPU, but for the
// store.
func BenchmarkResumeServer(b *testing.B) {
	f := loadFlow(b)
	rstor := f.Resumption.Packets[0].Hex
	record := &Record{Current: SessionKey{Key: [symmetricKey]byte(f.Handshake.MasterKey)}}
	p := make(msgPacket, len(rstor))
	b.ReportAllocs()
	for b.Loop() {
		copy(p, rstor)
		r, ok := acceptResume(record, p, [symmetricKey]byte{7}, nil, verifyUnder)
		if !ok {
			b.Fatal("refused")
		}
		newBox(&r.mid).seal(p, typeRSTORACK, p.token(), symmetricKey)
	}
}

// benchServer serves echoes without a log.
func benchServer(b *testing.B) (addr string, cfg *Config) {
	f := loadFlow(b)
	key := f.serverKey(b)
	addr = start(b, &Server{Keys: []crypto.Decrypter{key}, Logger: slog.New(slog.DiscardHandler), MaxMessagesPerKey: 1 << 30})
	return addr, &Config{ServerKey: &key.PublicKey, ClientKey: f.clientKey(b), MaxMessagesPerKey: 1 << 30}
}

// BenchmarkRoundTrip sends over one established connection, beside what TLS
// does with the same bytes.
func BenchmarkRoundTrip(b *testing.B) {
	addr, cfg := benchServer(b)
	tlsAddr, tlsConfig := tlsEcho(b)
	for _, size := range benchSizes {
		message := make([]byte, size)
		b.Run("megaki/"+sizeName(size), func(b *testing.B) {
			c := dial(b, addr, cfg)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			var response []byte
			for b.Loop() {
				var err error
				if response, err = c.AppendRoundTrip(context.Background(), response[:0], message); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("tls1.3/"+sizeName(size), func(b *testing.B) {
			c := tlsDial(b, tlsAddr, tlsConfig, tls.VersionTLS13)
			defer c.Close()
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				tlsRoundTrip(b, c, message)
			}
		})
	}
}

// BenchmarkRoundTripParallel has a connection for each goroutine.
func BenchmarkRoundTripParallel(b *testing.B) {
	addr, cfg := benchServer(b)
	message := make([]byte, 1<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(message)))
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		c, err := Dial(b.Context(), "tcp", addr, cfg)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		var response []byte
		for pb.Next() {
			if response, err = c.AppendRoundTrip(context.Background(), response[:0], message); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkConnect is a new connection with one small round trip, beside TLS
// with an RSA-2048 certificate. The client's CPU is in it.
func BenchmarkConnect(b *testing.B) {
	addr, cfg := benchServer(b)
	tlsAddr, tlsConfig := tlsEcho(b)
	message := make([]byte, 64)
	connect := func(b *testing.B, cfg *Config) Session {
		c, err := Dial(context.Background(), "tcp", addr, cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if _, err := c.RoundTrip(context.Background(), message); err != nil {
			b.Fatal(err)
		}
		if c.Resumed() != (cfg.Session != nil) {
			b.Fatal("not resumed")
		}
		return c.Session()
	}
	b.Run("megaki/handshake", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			connect(b, cfg)
		}
	})
	b.Run("megaki/resume", func(b *testing.B) {
		resuming := *cfg
		s := connect(b, cfg)
		b.ReportAllocs()
		for b.Loop() {
			resuming.Session = &s
			s = connect(b, &resuming)
		}
	})
	for name, version := range map[string]uint16{"tls1.2": tls.VersionTLS12, "tls1.3": tls.VersionTLS13} {
		b.Run(name+"/handshake", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := tlsDial(b, tlsAddr, tlsConfig, version)
				tlsRoundTrip(b, c, message)
				c.Close()
			}
		})
	}
}

// tlsEcho is a TLS server with an RSA-2048 certificate that echoes, and a
// client's configuration for it.
func tlsEcho(b *testing.B) (addr string, cfg *tls.Config) {
	key := loadFlow(b).serverKey(b)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		SessionTicketsDisabled: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, buf)
			}()
		}
	}()
	return l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

func tlsDial(b *testing.B, addr string, cfg *tls.Config, version uint16) net.Conn {
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.MaxVersion = version, version
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// tlsRoundTrip reads while it writes: the echo begins before the message has
// ended, and would fill the socket.
func tlsRoundTrip(b *testing.B, c net.Conn, message []byte) {
	small := len(message) <= 64<<10
	written := make(chan error, 1)
	write := func() { _, err := c.Write(message); written <- err }
	if small {
		write()
	} else {
		go write()
	}
	response := make([]byte, len(message))
	if _, err := io.ReadFull(c, response); err != nil {
		b.Fatal(err)
	}
	if err := <-written; err != nil {
		b.Fatal(err)
	}
}
